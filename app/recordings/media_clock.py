"""The caller's media clock beside the time that passes at our end. Pure; times are samples (8 kHz).

The media clock (``AudioReceived.at``) knows how frames lie to each other, and our line knows how much time
went by. The caller is placed on the line at ``at`` plus a shift that reconciles both:

* A frame cannot arrive before it was spoken. One that does, by more than the ``EARLY`` of carriers that
  send a frame at its beginning, moves the shift down at once (a clock that runs fast, a timestamp too far
  on).
* Arrivals are late by chance, never early, so the earliest of many shows the clocks. The least lateness of
  the first ``_FIRST_FRAMES`` is the audio's way to us (``transit``), unless it is too long for one
  (``_LONGEST_TRANSIT``): then the stream began later than the leg, and it is the shift. When later the least
  of three whole seconds exceeds ``_LATE``, the shift goes up by it (frames lost unseen, muted time, a clock
  that runs slow).

A least lateness below 0 says either that the leg was taken up after its stream had begun (that is the
transit, a negative one) or that the carrier sends frames at their beginning (then there is none); what lies
half a frame from both is 10 ms wrong at most.
"""

from __future__ import annotations

from collections import deque

from telephony.media.frame import SAMPLE_RATE

KNOWN_WITHIN = 5 * SAMPLE_RATE
"""Samples of audio after which a change of the shift is known: three whole seconds show it."""

EARLY = SAMPLE_RATE // 50
"""Samples by which frames may come before they were spoken: carriers may send them at their beginning."""

_FIRST_FRAMES = 50
_LONGEST_TRANSIT = SAMPLE_RATE // 4
_LATE = SAMPLE_RATE // 100  # 10 ms
_WHOLE = 25  # frames in a second that make its least lateness worth something
_SECONDS = 3
_NEVER = 10**9


class MediaClock:
    """The shift between the media clock and the line: line = ``at`` + ``shift``.

    What arrives now is of ``transit`` samples ago.
    """

    __slots__ = ("_count", "_first", "_frames", "_least", "_second_ends", "_seconds", "shift", "transit")

    def __init__(self) -> None:
        self.shift = self.transit = 0
        self._first = _NEVER  # least lateness of the first frames
        self._frames = 0
        self._second_ends = SAMPLE_RATE
        self._count, self._least = 0, _NEVER
        self._seconds: deque[tuple[int, int]] = deque(maxlen=_SECONDS)  # frames, least lateness

    def arrived(self, end: int, now: int) -> int:
        """Audio up to sample ``end`` of the media clock arrived. Returns how far what came before moves."""
        if self._frames < _FIRST_FRAMES:
            self._frames += 1
            if now - end < self._first:
                return self._begin(now - end)
        late = now - self.transit - end - self.shift
        if late < -EARLY:
            self.shift += late
            late = 0
            self._begin_second(now)
            self._seconds.clear()
        moved = self._end_second(now) if now >= self._second_ends else 0
        self._count += 1
        self._least = min(self._least, late - moved)
        return moved

    def _begin(self, late: int) -> int:
        self._first = late
        before, self.shift, self.transit = self.shift, 0, late
        if abs(late) > _LONGEST_TRANSIT:
            self.shift, self.transit = late, 0
        elif late < 0:
            self.transit = late // 2 if late >= -EARLY else late + EARLY // 2
        return self.shift - before

    def _end_second(self, now: int) -> int:
        self._seconds.append((self._count, self._least))
        least = 0
        if now >= self._second_ends + SAMPLE_RATE:
            self._seconds.clear()  # nothing came for a while
        elif len(self._seconds) == _SECONDS and all(count >= _WHOLE for count, _ in self._seconds):
            least = min(late for _, late in self._seconds)
        self._begin_second(now)
        if least <= _LATE:
            return 0
        self.shift += least
        self._seconds.clear()
        return least

    def _begin_second(self, now: int) -> None:
        self._second_ends = now + SAMPLE_RATE
        self._count, self._least = 0, _NEVER
