"""The caller's words of one turn, as transcripts and keys bring them. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from app.engines.digits import count_digits, spaced
from app.engines.ports import Expectation, Transcript
from app.voice.said import Said, joined
from app.voice.segment_clock import NOWHERE, Segment
from app.voice.stabilizer import Stabilizer

LOST_SECONDS = 4.0
"""A final that is later than this, with another one asked for since, never comes."""

_OVERDUE_SECONDS = 30.0  # no recogniser answers later than this

_ALIKE = 2  # so many interims alike are believed to the last word


class Heard(StrEnum):
    """What a transcript brought."""

    NOTHING = "nothing"  # of words that were taken or discarded, or an interim without words
    INTERIM = "interim"
    PART = "part"  # a final, and others are outstanding
    FINAL = "final"  # the last outstanding final


@dataclass(frozen=True, slots=True)
class _Owed:
    """A final that was asked for."""

    asked: float
    segment: Segment


@dataclass(slots=True)
class CallerWords:
    """Words so far. Segments are as in ``RecogniserStream``: one final answers each."""

    lost: int = 0  # finals that never came
    alike: int = 0  # interims in a row that said the same as the latest
    _parts: list[Said] = field(default_factory=list)
    _keys: str = ""  # the entry in progress: the last part
    _interim: str = ""
    _owed: deque[_Owed] = field(default_factory=deque)  # the finals not yet given
    _ignored: int = 0  # how many of them belong to words that were taken or discarded
    _overdue: deque[float] = field(default_factory=deque)  # when finals held for lost were asked for
    _stable: Stabilizer = field(default_factory=Stabilizer)

    @property
    def text(self) -> str:
        """All words, with the interim where a final is missing."""
        return self._with(self._interim)

    @property
    def settled(self) -> str:
        """All words but those of an interim that may still change."""
        interim = self._interim if self.alike >= _ALIKE else self._stable.stable
        return self._with(interim)

    @property
    def keys(self) -> str:
        """The keys of the entry in progress."""
        return self._keys

    @property
    def complete(self) -> bool:
        """No final is missing, and no interim stands for one."""
        return len(self._owed) == self._ignored and not self._interim

    def finish_segment(self, now: float, segment: Segment = NOWHERE) -> None:
        """A final was asked for, of this audio."""
        self._owed.append(_Owed(now, segment))

    def hear(self, transcript: Transcript, now: float, *, in_segment: bool) -> Heard:
        """Take a transcript; ``in_segment``: the caller is speaking, so that interims are of new words."""
        if not transcript.final:
            return self._hear_interim(transcript.text, in_segment=in_segment)
        segment = self._answered(now)
        if self._ignored:
            self._ignored -= 1
            return Heard.NOTHING
        self._forget_interim()
        if transcript.text:
            self._keys = ""  # what is keyed next is an entry of its own
            self._parts.append(
                Said(
                    transcript.text,
                    segment.place(transcript.words),
                    transcript.confidence,
                    transcript.language,
                )
            )
        return Heard.PART if self._owed else Heard.FINAL

    def press(self, key: str) -> None:
        """Add a key to the entry in progress, or begin one."""
        if self._keys:
            self._parts.pop()
        self._keys += key
        self._parts.append(Said(spaced(self._keys)))

    def drop_keys(self) -> None:
        """Forget the entry in progress."""
        if self._keys:
            self._parts.pop()
            self._keys = ""

    def answers(self, expectation: Expectation | None) -> bool:
        """Whether the digits so far, spoken or keyed, are as many as were asked for."""
        if expectation is None or expectation.kind != "digits" or expectation.length is None:
            return False
        return count_digits(self.text) >= expectation.length

    def take(self) -> Said:
        """The words, which belong to a turn from now on; finals that are still to come belong to them."""
        said = joined((*self._parts, Said(self._interim)))
        self.discard()
        return said

    def discard(self) -> None:
        """Forget the words so far and those still to come for audio that was heard."""
        self._parts.clear()
        self._keys = ""
        self._forget_interim()
        self._ignored = len(self._owed)

    def restore(self, said: Said) -> None:
        """Words taken before turn out to be the beginning of what the caller says."""
        if said.text:
            self._parts.insert(0, said)

    def _with(self, interim: str) -> str:
        return " ".join(text for text in (*(part.text for part in self._parts), interim) if text)

    def _answered(self, now: float) -> Segment:
        """The segment that a final which came just now answers; nowhere, while that is not certain.

        A final held for lost may still come: until all are there, one may be that of an earlier segment.
        """
        owed, overdue = self._owed, self._overdue
        while overdue and now - overdue[0] > _OVERDUE_SECONDS:
            overdue.popleft()
        while len(owed) > 1 and now - owed[0].asked > LOST_SECONDS:
            overdue.append(owed.popleft().asked)
            self._ignored = max(0, self._ignored - 1)
            self.lost += 1
        if owed:
            segment = owed.popleft().segment
            return NOWHERE if overdue else segment
        if overdue:
            overdue.popleft()
        return NOWHERE

    def _hear_interim(self, text: str, *, in_segment: bool) -> Heard:
        if (self._ignored and not in_segment) or not text:
            return Heard.NOTHING
        self.alike = self.alike + 1 if text == self._interim else 1
        self._interim = text
        self._stable.update(text)
        return Heard.INTERIM

    def _forget_interim(self) -> None:
        self._interim, self.alike = "", 0
        self._stable.reset()
