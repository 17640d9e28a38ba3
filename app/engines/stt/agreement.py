"""LocalAgreement: which words of successive decodings of growing speech will stay. Pure.

A decoder of whole utterances, run again and again on speech that goes on, changes its mind about the last
words. What two decodings in a row agree on is committed: it stays, and the next decoding may begin behind it
(Macháček et al., "Turning Whisper into Real-Time Transcription System", 2023, section 3).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from app.engines.ports import RecognisedWord

_SAME_PLACE_SAMPLES = 2400  # 0.3 s at 8 kHz: a word this close behind its equal is that one heard again
_ENDS = " .,;:!?…。、，！？"
_LONGEST_ECHO = 3  # words heard again at the beginning of a window


class Agreement:
    """The words of one segment. Times are samples from the segment's start.

    Words keep the white space before them, where their language has any.
    """

    def __init__(self) -> None:
        self._committed: list[RecognisedWord] = []
        self._tail: tuple[RecognisedWord, ...] = ()

    @property
    def committed(self) -> tuple[RecognisedWord, ...]:
        """The words that stay."""
        return tuple(self._committed)

    @property
    def words(self) -> tuple[RecognisedWord, ...]:
        """The words that stay and those heard once."""
        return (*self._committed, *self._tail)

    @property
    def end(self) -> int:
        """Where the last committed word ends; 0 before there is one."""
        return self._committed[-1].end if self._committed else 0

    @property
    def text(self) -> str:
        """All words."""
        return "".join(word.text for word in self.words).strip()

    def hear(self, words: Sequence[RecognisedWord]) -> None:
        """Take what the next decoding heard, from wherever its window began.

        Punctuation at the end is left out: it is where the window ended, not a sentence.
        """
        new = self._without_committed(words)
        if new:
            new[-1] = replace(new[-1], text=new[-1].text.rstrip(_ENDS))
        agreed = 0
        while agreed < min(len(new), len(self._tail)) and _same(new[agreed], self._tail[agreed]):
            agreed += 1
        self._committed += new[:agreed]
        self._tail = tuple(new[agreed:])

    def slide(self, earliest: int) -> int:
        """Where the next window begins: with a committed word, where one begins at ``earliest`` or later.

        Words that end before it stay as they are.
        """
        start = next((word.start for word in self._committed if word.start >= earliest), earliest)
        kept = 0
        while kept < len(self._tail) and self._tail[kept].end <= start:
            kept += 1
        self._committed += self._tail[:kept]
        self._tail = self._tail[kept:]
        return start

    def _without_committed(self, words: Sequence[RecognisedWord]) -> list[RecognisedWord]:
        end = self.end
        new = [word for word in words if (word.start + word.end) / 2 > end] if end else list(words)
        for length in range(min(_LONGEST_ECHO, len(new), len(self._committed)), 0, -1):
            echo = all(map(_same, new[:length], self._committed[-length:]))
            if echo and new[0].start < end + _SAME_PLACE_SAMPLES:
                return new[length:]
        return new


def _same(one: RecognisedWord, other: RecognisedWord) -> bool:
    return _letters(one.text) == _letters(other.text)


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if unicodedata.category(character)[0] in "LMN")
