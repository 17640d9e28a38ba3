"""A leg whose carrier lives in the test: plays in the loop's time, echoes marks, obeys ``clear``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from telephony.errors import HangupCause
from telephony.events import AudioReceived, DtmfReceived, HungUp, LegEvent, MarkPlayed
from telephony.media import g711
from telephony.media.frame import FRAME_SAMPLES, SAMPLE_RATE, Samples, silence
from telephony.ports import LegInfo
from telephony.simulator.playout import Playout

LOUD: Samples = np.full(FRAME_SAMPLES, 8000, dtype=np.int16)


class FakeLeg:
    """Implements ``CallLeg``. ``caller`` is the far end: a coroutine that speaks, waits and hangs up."""

    def __init__(self, *, lost_marks: bool = False) -> None:
        self.info = LegInfo("fake", "CAfake", "inbound", "+15550100001", "+15550100000")
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._over = asyncio.Event()
        self._cause: HangupCause | None = None
        self._sink: Callable[[LegEvent], None] = lambda event: None
        self._heard = 0
        self._lost_marks = lost_marks
        self._echo: asyncio.TimerHandle | None = None
        self.playout = Playout()
        self.clears: list[float] = []

    @property
    def now(self) -> float:
        """Seconds since the call began."""
        return self._loop.time() - self._began

    async def run(self, sink: Callable[[LegEvent], None]) -> None:
        self._sink = sink
        await self._over.wait()
        self.playout.end(self.now)
        sink(HungUp(self._cause or HangupCause.CARRIER_ERROR))

    def play(self, samples: Samples) -> None:
        self.playout.media(g711.encode(samples), self.now)

    def mark(self, name: str) -> None:
        if not self._lost_marks:
            self.playout.mark(name, self.now)
            self._schedule()

    def clear(self) -> None:
        self.clears.append(self.now)
        self.playout.clear(self.now)
        self._schedule()

    def hang_up(self, cause: HangupCause) -> None:
        if self._cause is None:
            self._cause = cause
            self._over.set()

    # What the far end does

    async def hear(self, seconds: float, frame: Samples | None = None) -> None:
        """Send frames in real time: speech (``LOUD``) or, by default, silence."""
        for _ in range(round(seconds * SAMPLE_RATE / FRAME_SAMPLES)):
            samples = silence(FRAME_SAMPLES) if frame is None else frame
            self._sink(AudioReceived(samples, self._heard))
            self._heard += FRAME_SAMPLES
            await asyncio.sleep(FRAME_SAMPLES / SAMPLE_RATE)

    async def say(self, seconds: float) -> float:
        """Speak; returns when the speech ended."""
        await self.hear(seconds, LOUD)
        return self.now

    def press(self, digit: str) -> None:
        self._sink(DtmfReceived(digit))

    def report(self, event: LegEvent) -> None:
        """Anything else that a carrier reports."""
        self._sink(event)

    def agent_talks(self) -> bool:
        return self.playout.lead(self.now) > 0

    @property
    def over(self) -> bool:
        return self._over.is_set()

    def _schedule(self) -> None:
        if self._echo is not None:
            self._echo.cancel()
        due = self.playout.deadline
        if due is not None:
            self._echo = self._loop.call_at(self._began + due, self._echoes)

    def _echoes(self) -> None:
        for name in self.playout.echoes(self.now):
            self._sink(MarkPlayed(name))
        self._schedule()
