"""Twilio's playback queue for one call: what is played when, and when a mark comes back.

Pure; time is an argument, in seconds on the call's line, and never runs backwards. Playback is
deterministic, so nothing has to be ticked: audio that arrives at ``now`` begins at the end of what is
queued or at ``now``, whichever is later, and a mark is due when all queued before it has been played.

Source: Twilio's Media Streams documentation ("Send WebSocket messages to Twilio").
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from telephony.media import g711, level
from telephony.media.frame import SAMPLE_RATE, Samples, silence

CEILING_SECONDS = 600.0
"""More than this is never queued; what exceeds it is thrown away (Twilio's warning 31931)."""

_SKIP = SAMPLE_RATE // 5

_EPSILON = 1e-6  # seconds; far below a sample (125 us), above the rounding of sample / 8000


@dataclass(slots=True)
class Segment:
    """mu-law audio that plays without a break from ``start``, a sample of the call's line."""

    start: int
    payload: bytes

    @property
    def end(self) -> int:
        """The sample after the last."""
        return self.start + len(self.payload)


@dataclass(slots=True)
class _Mark:
    name: str
    due: float


def sample_at(now: float) -> int:
    """The first sample that has not yet been played at ``now``."""
    return math.ceil((now - _EPSILON) * SAMPLE_RATE)


class Playout:
    """The queue and the record of what was played.

    ``mark_delay`` is how long a due mark takes to come back, in seconds. ``is_lost`` decides by name
    whether a mark never comes back, an imperfection that servers must survive.
    """

    def __init__(
        self,
        *,
        mark_delay: float = 0.0,
        ceiling: float = CEILING_SECONDS,
        is_lost: Callable[[str], bool] | None = None,
    ) -> None:
        self._mark_delay = mark_delay
        self._ceiling = round(ceiling * SAMPLE_RATE)
        self._is_lost = is_lost
        self._segments: list[Segment] = []
        self._loud: list[Segment] = []  # the segments with something to hear in them
        self._marks: deque[_Mark] = deque()
        self._tail = 0
        self._cleared = False
        self.longest_lead = 0.0
        """Most audio ever queued ahead of playback, in seconds."""
        self.gaps = 0
        """How often audio ran out for less than 0.2 s and went on: an audible skip."""
        self.overflowed = 0
        """Samples thrown away at the ceiling."""

    def media(self, payload: bytes, now: float) -> int:
        """Queue mu-law audio of any length. Returns how many samples the ceiling cut off."""
        clock = sample_at(now)
        room = max(0, self._ceiling - max(0, self._tail - clock))
        excess = max(0, len(payload) - room)
        if excess:
            self.overflowed += excess
            payload = payload[:room]
        if not payload:
            return excess
        if self._segments and not self._cleared and 0 < clock - self._tail < _SKIP:
            self.gaps += 1
        self._cleared = False
        segment = Segment(max(self._tail, clock), payload)
        self._segments.append(segment)
        if not level.is_quiet(payload):
            self._loud.append(segment)
        self._tail = segment.end
        self.longest_lead = max(self.longest_lead, (self._tail - clock) / SAMPLE_RATE)
        return excess

    def mark(self, name: str, now: float) -> float:
        """Put a mark at the end of the queue; returns when it will be reached, unless audio is cleared."""
        due = max(now, self._tail / SAMPLE_RATE)
        if self._is_lost is None or not self._is_lost(name):
            self._marks.append(_Mark(name, due))
        return due

    def clear(self, now: float) -> float:
        """Drop all that is not yet played; every mark becomes due. Returns the seconds dropped."""
        dropped = self._cut(sample_at(now))
        self._cleared = True
        for mark in self._marks:
            mark.due = min(mark.due, now)
        return dropped / SAMPLE_RATE

    def end(self, now: float) -> float:
        """The stream is over: drop the queue, echo nothing more. Returns the seconds dropped."""
        self._marks.clear()
        return self._cut(sample_at(now)) / SAMPLE_RATE

    @property
    def deadline(self) -> float | None:
        """When the next mark comes back, or None. Call ``echoes`` then."""
        return self._marks[0].due + self._mark_delay if self._marks else None

    def echoes(self, now: float) -> list[str]:
        """The marks that come back by ``now``, in order; each once."""
        names = []
        while self._marks and self._marks[0].due + self._mark_delay <= now + _EPSILON:
            names.append(self._marks.popleft().name)
        return names

    def lead(self, now: float) -> float:
        """Seconds of audio queued and not yet played."""
        return max(0, self._tail - sample_at(now)) / SAMPLE_RATE

    def played(self, now: float) -> Iterator[Segment]:
        """What has been played by ``now``, in order."""
        clock = sample_at(now)
        for segment in self._segments:
            if segment.start >= clock:
                return
            if segment.end <= clock:
                yield segment
            else:
                yield Segment(segment.start, segment.payload[: clock - segment.start])

    def samples(self, now: float) -> Samples:
        """All that was heard from the beginning of the line to ``now``, silence included."""
        clock = max(0, sample_at(now))
        line = silence(clock)
        for segment in self.played(now):
            line[segment.start : segment.end] = g711.decode(segment.payload)
        return line

    def between(self, begin: int, end: int) -> Samples:
        """What was or will be heard from one sample of the line to another, silence included."""
        line = silence(end - begin)
        for segment in reversed(self._segments):
            if segment.end <= begin:
                break
            first, last = max(begin, segment.start), min(end, segment.end)
            if first < last:
                payload = segment.payload[first - segment.start : last - segment.start]
                line[first - begin : last - begin] = g711.decode(payload)
        return line

    def first_heard(self, after: float, now: float) -> float | None:
        """When the first audible sample at or after ``after`` was played, if it was by ``now``."""
        begin, clock = sample_at(after), sample_at(now)
        found: float | None = None
        for segment in reversed(self._loud):
            if segment.end <= begin:
                break
            skip = max(0, begin - segment.start)
            index = level.first_heard(segment.payload[skip : clock - segment.start])
            if segment.start < clock and index is not None:
                found = (segment.start + skip + index) / SAMPLE_RATE
        return found

    def last_heard(self, now: float) -> float | None:
        """When the last audible sample played by ``now`` ended, or None."""
        clock = sample_at(now)
        for segment in reversed(self._loud):
            if segment.start < clock:
                end = level.heard_end(segment.payload[: clock - segment.start])
                if end:
                    return (segment.start + end) / SAMPLE_RATE
        return None

    def forget(self, before: float) -> None:
        """Free the record of what ended before; for long calls under load."""
        limit = sample_at(before)
        self._segments = [segment for segment in self._segments if segment.end > limit]
        self._loud = [segment for segment in self._loud if segment.end > limit]

    def _cut(self, clock: int) -> int:
        dropped = max(0, self._tail - max(clock, 0))
        for kept in (self._segments, self._loud):
            while kept and kept[-1].start >= clock:
                kept.pop()
        if self._segments and self._segments[-1].end > clock:
            last = self._segments[-1]
            last.payload = last.payload[: clock - last.start]
        self._tail = min(self._tail, clock)
        return dropped
