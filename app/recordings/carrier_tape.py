"""A leg that its carrier records: tells the carrier when, and passes everything else through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from app.metrics import RECORDINGS_FAILED
from app.recordings.media_clock import KNOWN_WITHIN, MediaClock
from app.recordings.placing import LONGEST_TRIP
from app.recordings.ports import CarrierRecordings
from app.recordings.shifts import ShiftLog
from app.recordings.tape import State, Taped
from app.voice.events import Shifts
from telephony.errors import CarrierError, HangupCause
from telephony.events import AudioReceived, LegEvent
from telephony.media.frame import SAMPLE_RATE, Samples
from telephony.ports import CallLeg, LegInfo

log = structlog.get_logger(__name__)

_TRIES = 3
_RETRY_SECONDS = 1.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CarrierTaped:
    """What a carrier recorded; ``recording`` is its id there, empty where the carrier never said it."""

    taped: Taped
    recording: str


class CarrierTape:
    """Like ``Tape``, with the carrier as the one that records. Requests go out one after the other, beside
    the call.

    ``over`` is called once, when the leg is over, if a recording was begun. Its seconds and pauses count from
    when it was. Where the carrier does not pause, it is told to stop: what is not to be recorded matters more
    than the rest.
    """

    def __init__(
        self,
        leg: CallLeg,
        carrier: CarrierRecordings,
        clock: Callable[[], float],
        over: Callable[[CarrierTaped], None],
    ) -> None:
        self._leg = leg
        self._carrier = carrier
        self._clock = clock
        self._over = over
        self._origin = clock()
        self._leg_began = self._origin
        self._media, self._log = MediaClock(), ShiftLog()
        self._asked = self._answered = 0  # when the carrier was to begin, and when it said that it had
        self._requests: asyncio.Queue[Callable[[str], Coroutine[Any, Any, None]]] = asyncio.Queue()
        self._recording = ""
        self._begun = self._paused = self._refused = self._ended = self._failed = False
        self._paused_from = 0.0
        self._pauses: list[tuple[float, float]] = []

    @property
    def recording(self) -> bool:
        """See ``Tape.recording``."""
        return self._begun and not self._paused and not self._over_already

    def begin(self) -> None:
        """See ``Tape.begin``."""
        if self._begun or self._over_already:
            return
        self._begun = True
        self._origin = self._clock()
        self._requests.put_nowait(self._start)
        if self._paused:
            self._paused_from = 0.0
            self._requests.put_nowait(self._pause)

    def pause(self) -> None:
        """See ``Tape.pause``."""
        if not self._paused and not self._over_already:
            self._paused, self._paused_from = True, self._seconds()
            if self._begun:
                self._requests.put_nowait(self._pause)

    def resume(self) -> None:
        """See ``Tape.resume``."""
        if self._paused and not self._over_already:
            self._paused = False
            if self._begun:
                self._pauses.append((self._paused_from, self._seconds()))
                self._requests.put_nowait(self._resume)

    def refuse(self) -> None:
        """See ``Tape.refuse``. What is not deleted by the end of the call is deleted after it."""
        if not self._over_already:
            self._refused = True
            if self._begun:
                self._requests.put_nowait(self._delete)

    @property
    def info(self) -> LegInfo:
        """See ``CallLeg.info``."""
        return self._leg.info

    async def run(self, sink: Callable[[LegEvent], None]) -> None:
        """See ``CallLeg.run``."""
        self._origin = self._leg_began = self._clock()

        def observe(event: LegEvent) -> None:
            if isinstance(event, AudioReceived):
                self._note(event)
            sink(event)

        async with asyncio.TaskGroup() as tasks:
            requests = tasks.create_task(self._serve())
            try:
                await self._leg.run(observe)
            finally:
                requests.cancel()
                self._end()

    def play(self, samples: Samples) -> None:
        """See ``CallLeg.play``."""
        self._leg.play(samples)

    def mark(self, name: str) -> None:
        """See ``CallLeg.mark``."""
        self._leg.mark(name)

    def clear(self) -> None:
        """See ``CallLeg.clear``."""
        self._leg.clear()

    def hang_up(self, cause: HangupCause) -> None:
        """See ``CallLeg.hang_up``."""
        self._leg.hang_up(cause)

    # Inside

    @property
    def _over_already(self) -> bool:
        return self._refused or self._ended

    def _seconds(self) -> float:
        return self._clock() - self._origin

    def _now(self) -> int:
        """Samples since the leg began."""
        return round((self._clock() - self._leg_began) * SAMPLE_RATE)

    def _note(self, audio: AudioReceived) -> None:
        """Follow the media clock. That it has changed shows only after a while."""
        shift = self._media.shift
        self._media.arrived(audio.at + len(audio.samples), self._now())
        if self._media.shift != shift:
            self._log.move(audio.at, self._media.shift - shift, KNOWN_WITHIN)

    @property
    def _shifts(self) -> Shifts | None:
        """Where in the carrier's file what lies on the media clock is heard; ``None``: it never said when it
        began. A negative ``transit`` says that the media clock is so far ahead of our time."""
        if not self._recording:
            return None
        transit = self._media.transit
        begun = self._asked - max(transit, 0), self._answered - min(transit, 0)
        return self._log.told(LONGEST_TRIP, begun)

    async def _serve(self) -> None:
        call = self._leg.info.carrier_call_id
        while True:
            request = await self._requests.get()
            try:
                await request(call)
            except Exception as error:  # noqa: BLE001 - the edge of the recording: the call goes on without it
                self._failed = True
                RECORDINGS_FAILED.labels("carrier").inc()
                log.error("the carrier did not do what was asked of a recording", reason=str(error))

    async def _start(self, call: str) -> None:
        self._asked = self._now()
        self._recording = await _with_retries(lambda: self._carrier.start(call))
        self._answered = self._now()

    async def _pause(self, call: str) -> None:
        if not self._recording:
            return
        try:
            await _with_retries(lambda: self._carrier.pause(call, self._recording))
        except CarrierError:
            await _with_retries(lambda: self._carrier.stop(call, self._recording))
            raise

    async def _resume(self, call: str) -> None:
        if self._recording:
            await _with_retries(lambda: self._carrier.resume(call, self._recording))

    async def _delete(self, call: str) -> None:
        if self._recording:
            await _with_retries(lambda: self._carrier.stop(call, self._recording))
            await _with_retries(lambda: self._carrier.delete(self._recording))

    def _end(self) -> None:
        if self._ended:
            return
        seconds = self._seconds()
        self._ended = True
        if self._paused and self._begun:
            self._pauses.append((self._paused_from, seconds))
        if not self._begun:
            return
        state: State = "failed" if self._failed else "kept"
        taped = Taped(state, seconds, tuple(self._pauses), self._shifts)
        if self._refused:
            taped = Taped("erased", 0.0, ())
        self._over(CarrierTaped(taped, self._recording))


async def _with_retries(request: Callable[[], Coroutine[Any, Any, T]]) -> T:
    for _ in range(_TRIES - 1):
        try:
            return await request()
        except CarrierError as error:
            if not error.retryable:
                raise
            await asyncio.sleep(_RETRY_SECONDS)
    return await request()
