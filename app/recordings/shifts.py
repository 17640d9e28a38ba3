"""Where what is said at a second of the leg's media clock is heard in a recording. Pure.

A recording runs in real time and the media clock does not quite: carriers send nothing for a while without
counting it, lose frames unseen, or record for themselves from later on. So from a second of the media clock
on, what lies there is heard later by a shift, of which the least and the most are known; mostly they are
one. Times of transcripts are of the media clock, so whoever looks for words in a recording asks ``heard``.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from app.voice.events import Shift, Shifts
from telephony.media.frame import SAMPLE_RATE

MOST_SHIFTS = 32
"""Of a channel. Where there are more, neighbours that differ least become one that is less sure."""

EDGE_SECONDS = 0.1
"""Around a change audio may stand in the recording by either shift, or by both: up to a few frames."""

_TOLD_WITHIN = 60 * SAMPLE_RATE
"""Times of a reply are counted back from the media clock as it is when the reply is over: how long a reply,
and its mark's way back, is at most. A change in between moves the times of what was heard before it."""

_Entry: TypeAlias = tuple[int, int, int]


class ShiftLog:
    """The shifts of one call, as they become known. In samples; never more than ``MOST_SHIFTS``."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[_Entry] = [(0, 0, 0)]

    def move(self, at: int, by: int, unsure: int = 0) -> None:
        """What is said from sample ``at`` on is heard so much later; perhaps from ``unsure`` before on."""
        first = self._begin(max(0, at - unsure))
        last = self._begin(max(0, at))
        for number, (begin, least, most) in enumerate(self._entries):
            if number >= last:
                self._entries[number] = (begin, least + by, most + by)
            elif number >= first:
                self._entries[number] = (begin, least + min(by, 0), most + max(by, 0))
        _shorten(self._entries)

    def move_placed(self, position: int, by: int) -> None:
        """What was heard from this sample of the recording on is heard so much later."""
        for begin, least, most in reversed(self._entries):
            if position - least >= begin:
                return self.move(position - least, by, most - least)
        return self.move(0, by)

    def told(self, trip: int, begun: tuple[int, int] = (0, 0)) -> Shifts:
        """All of them. ``trip``: the most by which the agent is heard later than it was sent, in samples;
        ``begun``: where the recording begins at the earliest and at the latest, in those of the leg."""
        since, until = begun
        caller = [(at, least - until, most - since) for at, least, most in self._entries]
        agent = [(at, least, most + trip) for at, least, most in _of_agent(caller)]
        _shorten(agent)
        return _seconds(caller), _seconds(agent)

    def _begin(self, at: int) -> int:
        """The number of the entry that begins there, made if there is none."""
        number = bisect_right(self._entries, (at, math.inf, math.inf)) - 1
        begin, least, most = self._entries[number]
        if begin == at:
            return number
        self._entries.insert(number + 1, (at, least, most))
        return number + 1


def heard(begin: float, end: float, shifts: Sequence[Shift]) -> Iterator[tuple[float, float]]:
    """Where in a recording what lies between two seconds of the media clock is heard, from and to.

    Wider than it by what is not known. ``end`` may be infinite.
    """
    ends = [at for at, _, _ in shifts[1:]]
    for (at, least, most), until in zip(shifts, [*ends, math.inf], strict=True):
        first, last = max(begin, at - EDGE_SECONDS), min(end, until + EDGE_SECONDS)
        if first < last and last + most > 0:
            yield max(0.0, first + least), last + most


def _of_agent(caller: Sequence[_Entry]) -> Iterator[_Entry]:
    """At each time all shifts that may hold until the times of a reply are told."""
    begins = sorted({max(0, at - early) for at, _, _ in caller for early in (0, _TOLD_WITHIN)})
    ends = [*(at for at, _, _ in caller[1:]), math.inf]
    for begin, end in zip(begins, [*begins[1:], math.inf], strict=True):
        near = [
            (least, most)
            for (at, least, most), until in zip(caller, ends, strict=True)
            if at < end + _TOLD_WITHIN and until > begin
        ]
        yield begin, min(least for least, _ in near), max(most for _, most in near)


def _shorten(entries: list[_Entry]) -> None:
    """Join equal neighbours, and those that differ least while there are too many."""
    entries[1:] = [entry for before, entry in pairwise(entries) if entry[1:] != before[1:]]
    while len(entries) > MOST_SHIFTS:
        joined = [
            (at, min(least, after[1]), max(most, after[2])) for (at, least, most), after in pairwise(entries)
        ]
        number = min(range(len(joined)), key=lambda number: joined[number][2] - joined[number][1])
        entries[number : number + 2] = [joined[number]]


def _seconds(entries: Sequence[_Entry]) -> tuple[Shift, ...]:
    return tuple(
        (round(at / SAMPLE_RATE, 3), round(least / SAMPLE_RATE, 3), round(most / SAMPLE_RATE, 3))
        for at, least, most in entries
    )
