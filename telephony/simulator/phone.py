"""The caller's handset: speaks in 20 ms frames, hears what the carrier plays, can wait for either.

A phone lives as long as its call and may see several media streams. Frames leave on an absolute
schedule: frame k is spoken from k * 20 ms to (k + 1) * 20 ms of the line and sent at its end, as a
carrier must, so a late timer never shifts the frames after it. One timer a phone and no task:
200 phones on one core are the design load.
"""

from __future__ import annotations

import asyncio
import binascii
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import numpy as np

from telephony.media import g711
from telephony.media.frame import FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE, Samples, silence
from telephony.simulator import wire
from telephony.simulator.conditions import PERFECT, LineConditions, Stall
from telephony.simulator.heard import (
    EventKind,
    LineCounts,
    LineEvent,
    PlacedMark,
    Spoken,
    Utterance,
    Violation,
)
from telephony.simulator.playout import Playout, sample_at

_EARLY = 0.001  # seconds; event loops round timers to a millisecond


class Socket(Protocol):
    """What a phone needs of the media socket."""

    def send(self, message: str) -> None:
        """Send text."""

    def abort(self) -> None:
        """Cut the connection."""

    def stop_reading(self) -> None:
        """Begin a stall."""

    def read_again(self) -> None:
        """End a stall."""


class HungUpError(Exception):
    """The call is over: whatever the caller was doing stops here."""


@dataclass(slots=True)
class _Waiter:
    condition: Callable[[float], bool]
    deadline: float
    future: asyncio.Future[bool]


class Phone:
    """One caller's end of one call. Times are seconds on the call's line; ``now`` is the present.

    ``clock`` gives the seconds that pass on the line; the event loop's timers must go by the same time.
    """

    def __init__(
        self, conditions: LineConditions = PERFECT, clock: Callable[[], float] = perf_counter
    ) -> None:
        self._conditions = conditions
        self._clock = clock
        self._random = random.Random(conditions.seed)  # noqa: S311 - jitter, not secrets
        self.playout = Playout(
            mark_delay=conditions.mark_delay,
            is_lost=self._draw_lost if conditions.lost_marks else None,
        )
        self.spoken: list[Spoken] = []
        self.events: list[LineEvent] = []
        self.violations: list[Violation] = []
        self.clears: list[float] = []
        """When each ``clear`` was received."""
        self.marks: list[PlacedMark] = []
        self.hung_up = asyncio.Event()
        """Set when the caller hangs up."""
        self.origin = 0.0
        self._loop = asyncio.get_running_loop()
        self._writer: wire.StreamWriter | None = None
        self._socket: Socket | None = None
        self._queue: deque[str] = deque()
        self._idle = (wire.SILENT_FRAME,) if conditions.noise is None else wire.line_noise(conditions.noise)
        self._frame = 0  # index on the line of the next frame to send
        self._last_send = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._echo_timer: asyncio.TimerHandle | None = None
        self._stall_timers: list[asyncio.TimerHandle] = []
        self._waiters: list[_Waiter] = []
        self._frames_sent = self._messages = self._samples = 0
        self._samples_cleared = 0.0
        self._late = 0.0

    # what a caller does

    @property
    def now(self) -> float:
        """Seconds since the line began."""
        return self._clock() - self.origin

    def speak(self, utterance: Utterance) -> Spoken:
        """Begin to say something, after what is still being said; returns where it lies on the line."""
        if not self._queue:
            self._queue.append(wire.SILENT_FRAME)  # the frame in progress: what follows begins after now
        spoken = Spoken(utterance, (self._frame + len(self._queue)) * FRAME_SECONDS)
        self._queue.extend(utterance.frames)
        self.spoken.append(spoken)
        return spoken

    async def say(self, utterance: Utterance) -> Spoken:
        """Say something and return when it is out."""
        spoken = self.speak(utterance)
        await self.until(lambda now: now >= spoken.until)
        return spoken

    async def press(self, keys: str, gap: float = 0.25) -> None:
        """Press keys (``0-9*#A-D``), ``gap`` seconds apart."""
        for key in keys:
            if self._socket is not None and self._writer is not None:
                self._socket.send(self._writer.dtmf(key))
                self.events.append(LineEvent(self.now, EventKind.DTMF, key))
            await self.wait(gap)

    async def wait(self, seconds: float) -> None:
        """Do nothing for a while, to within a frame."""
        end = self.now + seconds
        await self.until(lambda now: now >= end)

    async def until(self, condition: Callable[[float], bool], within: float = float("inf")) -> bool:
        """Wait until ``condition(now)``, asked once a frame; False when it was not so ``within`` seconds.

        Raises ``HungUpError`` when the call ends first.
        """
        now = self.now
        if condition(now):
            return True
        if self._timer is None:
            raise HungUpError("the call is over")
        waiter = _Waiter(condition, now + within, self._loop.create_future())
        self._waiters.append(waiter)
        try:
            return await waiter.future
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def hang_up(self) -> None:
        """Put the handset down."""
        self.hung_up.set()

    def note(self, text: str) -> None:
        """Write something on the call's record."""
        self.events.append(LineEvent(self.now, EventKind.NOTE, text))

    # what a caller hears

    def agent_began(self, after: float) -> float | None:
        """When the agent was first heard at or after a time, if it was by now."""
        return self.playout.first_heard(after, self.now)

    def agent_last_heard(self) -> float | None:
        """When the agent was last heard up to now."""
        return self.playout.last_heard(self.now)

    def heard(self) -> Samples:
        """All that was heard up to now."""
        return self.playout.samples(self.now)

    def said(self, until: float) -> Samples:
        """The caller's own voice from the beginning of the line to ``until``."""
        line = silence(max(0, sample_at(until)))
        for spoken in self.spoken:
            start = round(spoken.begin * 8000)
            piece = spoken.utterance.samples[: max(0, len(line) - start)]
            line[start : start + len(piece)] = piece
        return line

    def counts(self) -> LineCounts:
        """Totals so far."""
        return LineCounts(
            frames_sent=self._frames_sent,
            messages_received=self._messages,
            samples_received=self._samples,
            samples_overflowed=self.playout.overflowed,
            samples_cleared=round(self._samples_cleared * 8000),
            gaps=self.playout.gaps,
            longest_lead=self.playout.longest_lead,
            late=self._late,
        )

    # what the carrier does with it

    def connect(self, writer: wire.StreamWriter, socket: Socket) -> None:
        """A media stream has started: frames go there from now on. The first one begins the line."""
        self._writer, self._socket = writer, socket
        if self._timer is None:
            self.origin = self._clock()
            self._last_send = self.origin
            self._schedule_frame()
            self._stall_timers = [
                self._loop.call_later(stall.at, self._stall, stall) for stall in self._conditions.stalls
            ]
        self.events.append(LineEvent(self.now, EventKind.STREAM_STARTED, writer.stream_sid))

    def disconnect(self, how: str) -> None:
        """The stream is over; the line goes on until ``end``."""
        if self._socket is None:
            return
        self._writer = self._socket = None
        now = self.now
        self.playout.end(now + self._conditions.to_caller)
        self.events.append(LineEvent(now, EventKind.STREAM_ENDED, how))
        if self._echo_timer is not None:
            self._echo_timer.cancel()
            self._echo_timer = None

    def end(self) -> None:
        """The call is over; who waits for something gets ``HungUpError``."""
        self.disconnect("call ended")
        for timer in (self._timer, *self._stall_timers):
            if timer is not None:
                timer.cancel()
        self._timer = None
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.future.done():
                waiter.future.set_exception(HungUpError("the call is over"))

    def receive(self, message: bytes | None) -> None:
        """A message from the server; None stands for one that is not text."""
        if self._writer is None or self._socket is None:
            return
        now = self.now
        arrival = now + self._conditions.to_caller
        self._messages += 1
        if message is None:
            self.violations.append(Violation(now, wire.PROTOCOL_ERROR, "a message that is not text"))
            self._socket.abort()
            return
        match wire.read(message, self._writer.stream_sid):
            case wire.PlayAudio(payload, flaw):
                self._play(payload, flaw, now, arrival)
            case wire.PlaceMark(name):
                self.marks.append(PlacedMark(name, now, self.playout.mark(name, arrival)))
                self.events.append(LineEvent(now, EventKind.MARK_PLACED, name))
                self._schedule_echo()
            case wire.ClearAudio():
                dropped = self.playout.clear(arrival)
                self._samples_cleared += dropped
                self.clears.append(now)
                self.events.append(LineEvent(now, EventKind.CLEARED, f"{dropped:.3f} s dropped"))
                self._schedule_echo()
            case wire.Invalid(code, reason):
                self.violations.append(Violation(now, code, reason))

    def _play(self, payload: bytes, flaw: str, now: float, arrival: float) -> None:
        self._samples += len(payload)
        if flaw:
            self.violations.append(Violation(now, wire.NOT_PLAYABLE, flaw))
        first = not self.playout.overflowed
        if self.playout.media(payload, arrival) and first:
            reason = "more than ten minutes of audio queued; the rest is thrown away"
            self.violations.append(Violation(now, wire.BUFFER_OVERFLOW, reason))

    # timers

    def _schedule_frame(self) -> None:
        spoken_at = self.origin + (self._frame + 1) * FRAME_SECONDS + self._conditions.to_agent
        if self._conditions.jitter:
            spoken_at = max(self._last_send, spoken_at + self._random.uniform(0, self._conditions.jitter))
        self._last_send = spoken_at
        self._timer = self._loop.call_later(max(0.0, spoken_at - self._clock()), self._tick)

    def _tick(self) -> None:
        now = self._clock()
        self._late = max(self._late, now - self._last_send)
        payload = self._queue.popleft() if self._queue else self._idle[self._frame % len(self._idle)]
        if self._conditions.echo is not None:
            payload = self._with_echo(payload, self._conditions.echo)
        self._frame += 1
        if self._socket is not None and self._writer is not None:
            if self._conditions.lost_frames and self._random.random() < self._conditions.lost_frames:
                self._writer.lose()
            else:
                self._socket.send(self._writer.media(payload))
                self._frames_sent += 1
        self._schedule_frame()
        if self._waiters:
            self._ask_waiters(now - self.origin)

    def _with_echo(self, payload: str, level: float) -> str:
        """The frame that is being sent, with what the agent was heard to say a moment ago."""
        begin = self._frame * FRAME_SAMPLES - round(self._conditions.echo_delay * SAMPLE_RATE)
        heard = self.playout.between(begin, begin + FRAME_SAMPLES)
        if not heard.any():
            return payload
        own = g711.decode(binascii.a2b_base64(payload))
        mixed = np.clip(own + heard * 10 ** (level / 20), -32768, 32767)
        return wire.frame_payloads(mixed.astype(np.int16))[0]

    def _ask_waiters(self, now: float) -> None:
        for waiter in list(self._waiters):
            met = waiter.condition(now)
            if met or now >= waiter.deadline:
                self._waiters.remove(waiter)
                if not waiter.future.done():
                    waiter.future.set_result(met)

    def _schedule_echo(self) -> None:
        deadline = self.playout.deadline
        if self._echo_timer is not None:
            self._echo_timer.cancel()
            self._echo_timer = None
        if deadline is not None:
            delay = deadline + self._conditions.to_agent - self.now
            if delay <= 0:
                self._echo()
            else:
                self._echo_timer = self._loop.call_later(max(delay, _EARLY), self._echo)

    def _echo(self) -> None:
        self._echo_timer = None
        now = self.now
        for name in self.playout.echoes(now - self._conditions.to_agent):
            if self._socket is not None and self._writer is not None:
                self._socket.send(self._writer.mark(name))
                self.events.append(LineEvent(now, EventKind.MARK_ECHOED, name))
        if self.playout.deadline is not None:
            self._schedule_echo()

    def _stall(self, stall: Stall) -> None:
        if self._socket is not None:
            self._socket.stop_reading()
            self._loop.call_later(stall.seconds, self._socket.read_again)

    def _draw_lost(self, _name: str) -> bool:
        return self._random.random() < self._conditions.lost_marks
