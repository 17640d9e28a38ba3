"""A turn detector that thinks what it is told to think."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from app.engines.errors import EngineError
from telephony.media.frame import Samples


class FakeTurnDetector:
    """Each pause gets the next of ``verdicts`` after ``delay`` seconds; None fails. ``heard``: samples."""

    name = "fake"

    def __init__(self, verdicts: Iterable[float | None], delay: float = 0.05) -> None:
        self.verdicts = deque(verdicts)
        self.delay = delay
        self.heard: list[int] = []

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def complete(self, samples: Samples) -> float:
        self.heard.append(len(samples))
        await asyncio.sleep(self.delay)
        verdict = self.verdicts.popleft()
        if verdict is None:
            raise EngineError(self.name, "told to fail")
        return verdict
