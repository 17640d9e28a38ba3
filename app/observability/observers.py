"""Events of calls on their way to the recorder, seen by those who show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from app.metrics import OBSERVERS_FAILED
from app.observability.turns import Follower, Seen
from app.voice.events import CallRecord
from app.voice.ports import CallRecorder

_log = structlog.get_logger(__name__)


class Observer(Protocol):
    """Shows calls somewhere."""

    @property
    def name(self) -> str:
        """Its name in metrics."""

    def see(self, seen: Seen) -> None:
        """Take it, on the event loop: never blocks, nor takes more than a fraction of a millisecond."""


class Observers:
    """A ``CallRecorder`` that hands each event to another one first, and then shows it to observers."""

    def __init__(
        self, recorder: CallRecorder, observers: Sequence[Observer], engines: Mapping[str, str]
    ) -> None:
        """``engines``: by port, the one that a call begins with."""
        self._recorder = recorder
        self._observers = tuple(observers)
        self._follower = Follower(engines)

    def record(self, event: CallRecord) -> None:
        """See ``CallRecorder.record``. What fails to show an event is counted; nothing else suffers."""
        self._recorder.record(event)
        try:
            seen = self._follower.take(event)
        except Exception:  # noqa: BLE001 - the edge of observing: no call may end because of it
            self._failed("turns")
            return
        if seen is None:
            return
        for observer in self._observers:
            try:
                observer.see(seen)
            except Exception:  # noqa: BLE001 - the same
                self._failed(observer.name)

    @staticmethod
    def _failed(observer: str) -> None:
        OBSERVERS_FAILED.labels(observer).inc()
        _log.exception("an event of a call was not shown", observer=observer)
