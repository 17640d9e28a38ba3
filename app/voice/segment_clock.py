"""Where on a leg's media clock the words of a recogniser's segment were said. Pure.

A recogniser counts the samples it was given. Audio that was lost on the line is none of them, so a segment
may have gaps. Positions and offsets are samples.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from app.engines.ports import RecognisedWord
from app.voice.events import CallerWord
from telephony.media.frame import SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Segment:
    """The audio of one segment: stretches without a gap, and how much it is in all.

    ``offsets``: how much of the segment lies before each stretch; ``positions``: where on the media clock
    each begins.
    """

    offsets: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    length: int = 0

    def place(self, words: Iterable[RecognisedWord]) -> tuple[CallerWord, ...]:
        """The words in seconds of the media clock; none where the segment has no audio.

        What is said to lie outside of the audio lies at its edge.
        """
        return tuple(self._place(word) for word in words) if self.length else ()

    def _place(self, word: RecognisedWord) -> CallerWord:
        started = self._position(word.start, begins=True)
        ended = self._position(word.end, begins=False)
        return CallerWord(
            word.text.strip(), started / SAMPLE_RATE, max(started, ended) / SAMPLE_RATE, word.confidence
        )

    def _position(self, offset: int, *, begins: bool) -> int:
        """At a gap, what begins does so after it, and what ends before it."""
        offset = min(max(offset, 0), self.length)
        find = bisect_right if begins else bisect_left
        stretch = max(0, find(self.offsets, offset) - 1)
        return self.positions[stretch] + offset - self.offsets[stretch]


NOWHERE = Segment()


class SegmentClock:
    """Follows the audio that a recogniser is given. ``end``: up to where it was."""

    def __init__(self) -> None:
        self.end = 0
        self._length = 0
        self._offsets: list[int] = []
        self._positions: list[int] = []

    def push(self, position: int, length: int) -> None:
        """So much audio from ``position`` on was given, in the current segment."""
        if position != self.end or not self._length:
            self._offsets.append(self._length)
            self._positions.append(position)
        self._length += length
        self.end = position + length

    def finish(self) -> Segment:
        """The current segment, which is over."""
        segment = Segment(tuple(self._offsets), tuple(self._positions), self._length)
        self._length = 0
        self._offsets.clear()
        self._positions.clear()
        return segment
