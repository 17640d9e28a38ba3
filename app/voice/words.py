"""The caller's words of one turn, as transcripts and keys bring them. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from app.engines.digits import count_digits, spaced
from app.engines.ports import Expectation, Transcript
from app.voice.stabilizer import Stabilizer

LOST_SECONDS = 4.0
"""A final that is later than this, with another one asked for since, never comes."""

_ALIKE = 2  # so many interims alike are believed to the last word


class Heard(StrEnum):
    """What a transcript brought."""

    NOTHING = "nothing"  # of words that were taken or discarded, or an interim without words
    INTERIM = "interim"
    PART = "part"  # a final, and others are outstanding
    FINAL = "final"  # the last outstanding final


@dataclass(slots=True)
class CallerWords:
    """Words so far. Segments are as in ``RecogniserStream``: one final answers each."""

    lost: int = 0  # finals that never came
    alike: int = 0  # interims in a row that said the same as the latest
    _parts: list[str] = field(default_factory=list)
    _keys: str = ""  # the entry in progress: the last part
    _interim: str = ""
    _owed: deque[float] = field(default_factory=deque)  # when the finals not yet given were asked for
    _ignored: int = 0  # how many of them belong to words that were taken or discarded
    _stable: Stabilizer = field(default_factory=Stabilizer)

    @property
    def text(self) -> str:
        """All words, with the interim where a final is missing."""
        return " ".join(part for part in (*self._parts, self._interim) if part)

    @property
    def settled(self) -> str:
        """All words but those of an interim that may still change."""
        interim = self._interim if self.alike >= _ALIKE else self._stable.stable
        return " ".join(part for part in (*self._parts, interim) if part)

    @property
    def keys(self) -> str:
        """The keys of the entry in progress."""
        return self._keys

    @property
    def complete(self) -> bool:
        """No final is missing, and no interim stands for one."""
        return len(self._owed) == self._ignored and not self._interim

    def finish_segment(self, now: float) -> None:
        """A final was asked for."""
        self._owed.append(now)

    def hear(self, transcript: Transcript, now: float, *, in_segment: bool) -> Heard:
        """Take a transcript; ``in_segment``: the caller is speaking, so that interims are of new words."""
        if not transcript.final:
            return self._hear_interim(transcript.text, in_segment=in_segment)
        while len(self._owed) > 1 and now - self._owed[0] > LOST_SECONDS:
            self._owed.popleft()
            self._ignored = max(0, self._ignored - 1)
            self.lost += 1
        if self._owed:
            self._owed.popleft()
        if self._ignored:
            self._ignored -= 1
            return Heard.NOTHING
        self._forget_interim()
        if transcript.text:
            self._keys = ""  # what is keyed next is an entry of its own
            self._parts.append(transcript.text)
        return Heard.PART if self._owed else Heard.FINAL

    def press(self, key: str) -> None:
        """Add a key to the entry in progress, or begin one."""
        if self._keys:
            self._parts.pop()
        self._keys += key
        self._parts.append(spaced(self._keys))

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

    def take(self) -> str:
        """The words, which belong to a turn from now on; finals that are still to come belong to them."""
        text = self.text
        self.discard()
        return text

    def discard(self) -> None:
        """Forget the words so far and those still to come for audio that was heard."""
        self._parts.clear()
        self._keys = ""
        self._forget_interim()
        self._ignored = len(self._owed)

    def restore(self, text: str) -> None:
        """Words taken before turn out to be the beginning of what the caller says."""
        if text:
            self._parts.insert(0, text)

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
