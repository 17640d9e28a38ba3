"""A leg that is recorded: a ``CallLeg`` around a ``CallLeg``, through which both voices pass unchanged.

What passes is noted down (``placing``) and handed in blocks of a second to the writer's thread. The call
never waits for it, and no fault of it reaches the call: a recording that cannot go on fails alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import structlog

from app.recordings.blocks import Block
from app.recordings.placing import Placing
from app.recordings.ports import BlockSink
from app.voice.events import Shifts
from telephony.errors import HangupCause
from telephony.events import AudioReceived, HungUp, LegEvent, MarkPlayed
from telephony.media.frame import SAMPLE_RATE, Samples
from telephony.ports import CallLeg, LegInfo

log = structlog.get_logger(__name__)

State = Literal["kept", "failed", "erased"]


@dataclass(frozen=True, slots=True)
class Taped:
    """A recording whose call is over. ``seconds`` and ``pauses`` are of the recording's own time.

    ``shifts``: where in it what lies on the leg's media clock is heard; ``None``: not known.
    """

    state: State
    seconds: float
    pauses: tuple[tuple[float, float], ...]
    shifts: Shifts | None = None


class Tape:
    """Records one leg. ``begin`` starts it, at once or once the caller was told; before, there is silence.

    ``open_sink`` makes the file, when there is something to write. ``over`` is called with the result once,
    when the leg is over and before ``HungUp`` is passed on, or when the caller refuses; a recording that
    never began has no result. ``clock`` gives seconds, of the event loop.
    """

    def __init__(
        self,
        leg: CallLeg,
        open_sink: Callable[[], BlockSink],
        clock: Callable[[], float],
        over: Callable[[Taped], None],
    ) -> None:
        self._leg = leg
        self._open_sink = open_sink
        self._clock = clock
        self._over = over
        self._placing = Placing()
        self._placing.pause(0)
        self._sink: BlockSink | None = None
        self._origin: float | None = None
        self._begun = self._paused = self._ended = False
        self._following = True  # what passes is noted down

    # The recording

    @property
    def recording(self) -> bool:
        """Whether what is said now is kept."""
        return self._begun and not self._paused and not self._ended

    def begin(self) -> None:
        """Record from now on."""
        if self._begun or self._ended:
            return
        self._begun = True
        if not self._paused:
            self._placing.resume(self._now())

    def pause(self) -> None:
        """Silence on both channels from now on."""
        if not self._paused and not self._ended:
            self._paused = True
            self._placing.pause(self._now())

    def resume(self) -> None:
        """Record again."""
        if self._paused and not self._ended:
            self._paused = False
            if self._begun:
                self._placing.resume(self._now())

    def refuse(self) -> None:
        """The caller does not want it: delete what there is, record no more."""
        if self._ended:
            return
        self._ended, self._following = True, False
        if self._sink is not None:
            self._sink.discard()
        self._over(Taped("erased", 0.0, ()))

    # The leg

    @property
    def info(self) -> LegInfo:
        """See ``CallLeg.info``."""
        return self._leg.info

    async def run(self, sink: Callable[[LegEvent], None]) -> None:
        """See ``CallLeg.run``."""

        def observe(event: LegEvent) -> None:
            if self._following:
                try:
                    self._note(event)
                except Exception:  # noqa: BLE001 - the edge of the recording: the call goes on without it
                    self._break()
            sink(event)

        self._origin = self._clock()
        try:
            await self._leg.run(observe)
        finally:
            self._finish()

    def play(self, samples: Samples) -> None:
        """See ``CallLeg.play``."""
        self._leg.play(samples)
        if self._following:
            try:
                now = self._now()
                self._placing.play(samples, now)
                self._commit(now)
            except Exception:  # noqa: BLE001 - as above
                self._break()

    def mark(self, name: str) -> None:
        """See ``CallLeg.mark``."""
        self._leg.mark(name)
        if self._following:
            self._placing.mark(name, self._now())

    def clear(self) -> None:
        """See ``CallLeg.clear``."""
        self._leg.clear()
        if self._following:
            self._placing.clear(self._now())

    def hang_up(self, cause: HangupCause) -> None:
        """See ``CallLeg.hang_up``."""
        self._leg.hang_up(cause)

    # Inside

    def _now(self) -> int:
        """Samples since the leg began; 0 before."""
        if self._origin is None:
            return 0
        return int((self._clock() - self._origin) * SAMPLE_RATE + 0.5)

    def _note(self, event: LegEvent) -> None:
        if isinstance(event, AudioReceived):
            now = self._now()
            self._placing.hear(event.at, event.samples, now)
            self._commit(now)
        elif isinstance(event, MarkPlayed):
            self._placing.mark_played(event.name, self._now())
        elif isinstance(event, HungUp):
            self._finish()

    def _commit(self, now: int) -> None:
        if self._placing.due(now):
            block = self._placing.commit(now)
            if block is not None and self._begun:
                self._write(block)

    def _write(self, block: Block) -> None:
        if self._sink is None:
            self._sink = self._open_sink()
            if block.begin:
                self._sink.write(Block(0, block.begin))
        self._sink.write(block)

    def _break(self) -> None:
        """A fault of ours: what was written stays, as a recording that failed."""
        self._following = False
        log.exception("recording failed; the call goes on")
        if self._sink is not None:
            self._sink.fail("fault")

    def _finish(self) -> None:
        if self._ended:
            return
        self._ended = True
        whole, self._following = self._following, False
        now = self._now()
        last = self._placing.finish(now)
        if not self._begun:
            return
        if whole:
            try:
                self._write(last)
            except Exception:  # noqa: BLE001 - as above
                self._break()
        state: State = "failed"
        if self._sink is not None:
            if self._placing.overflowed:
                self._sink.fail("overflow")
            self._sink.close()
            state = "failed" if self._sink.failed else "kept"
        pauses = tuple(
            (start / SAMPLE_RATE, stop / SAMPLE_RATE) for start, stop in self._placing.pauses if stop <= now
        )
        self._over(Taped(state, now / SAMPLE_RATE, pauses, self._placing.shifts if whole else None))
