"""How the caller's turn sounds, where a model hears it: its verdict on each pause."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import structlog

from app.engines.errors import EngineError
from app.engines.ports import TurnDetector
from app.metrics import INTONATION_FAILURES
from telephony.media.frame import SAMPLE_RATE, Samples

log = structlog.get_logger(__name__)

_KEPT = 8 * SAMPLE_RATE  # samples: what such models listen to


class Intonation:
    """One call. ``complete`` is how likely the turn is over by its sound, 0 to 1; ``None``: not known."""

    def __init__(
        self,
        model: TurnDetector,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        judged: Callable[[], None],
    ) -> None:
        self.complete: float | None = None
        self._model = model
        self._start = start
        self._judged = judged
        self._recent: deque[Samples] = deque()
        self._length = 0
        self._task: asyncio.Task[None] | None = None

    def hear(self, samples: Samples) -> None:
        """Take caller audio."""
        self._recent.append(samples)
        self._length += len(samples)
        while self._length - len(self._recent[0]) >= _KEPT:
            self._length -= len(self._recent.popleft())

    def ask(self) -> None:
        """The caller paused: ask the model, which answers by ``judged``."""
        self.forget()
        self._task = self._start(self._ask(np.concatenate(self._recent)))

    def forget(self) -> None:
        """The caller went on, or the turn is over: an answer under way no longer counts."""
        self.complete = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _ask(self, samples: Samples) -> None:
        try:
            self.complete = await self._model.complete(samples)
        except EngineError as error:
            INTONATION_FAILURES.inc()
            log.warning("turn detector failed; the words decide alone", error=str(error))
        else:
            self._judged()
