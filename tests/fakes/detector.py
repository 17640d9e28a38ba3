"""A voice activity detector that goes by loudness, in windows of the real one's length, without delay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from app.engines.ports import VoiceActivity
from telephony.media.frame import Samples, silence

WINDOW = 256


class FakeDetector:
    name = "fake"

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    def open(self, sink: Callable[[VoiceActivity], None]) -> FakeVadStream:
        return FakeVadStream(sink)


class FakeVadStream:
    def __init__(self, sink: Callable[[VoiceActivity], None]) -> None:
        self._sink: Callable[[VoiceActivity], None] | None = sink
        self._buffer = silence(0)
        self._end = 0

    def push(self, samples: Samples) -> None:
        self._buffer = np.concatenate((self._buffer, samples))
        while len(self._buffer) >= WINDOW and self._sink is not None:
            window, self._buffer = self._buffer[:WINDOW], self._buffer[WINDOW:]
            self._end += WINDOW
            loud = float(np.abs(window.astype(np.int32)).mean()) > 500
            self._sink(VoiceActivity(0.95 if loud else 0.02, self._end))

    def close(self) -> None:
        self._sink = None
