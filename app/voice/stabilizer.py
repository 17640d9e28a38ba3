"""What of a recogniser's interims will stay: a prefix that only ever grows. Pure.

Text is stable once the last interims all begin with it. It is given out word by word; where two words
are not separated by a space, as in Japanese, character by character. Between interims, case and
punctuation count: a recogniser that changes ``where`` to ``Where,`` has not settled it.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Iterable
from itertools import takewhile

_WIDE_SCRIPTS = ("CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
"""Beginnings of the Unicode names of characters that are written without spaces between words."""


class Stabilizer:
    """One segment's interims. ``agreeing``: how many in a row must begin alike, at least 2."""

    def __init__(self, agreeing: int = 3) -> None:
        if agreeing < 2:
            raise ValueError(f"at least 2 interims must agree, not {agreeing}")
        self._recent: deque[str] = deque(maxlen=agreeing)
        self._stable = ""
        self.contradicted = False  # the final said other words than were given out

    @property
    def stable(self) -> str:
        """The text given out so far, from the segment's beginning; it never shrinks before ``reset``."""
        return self._stable

    def update(self, interim: str) -> str:
        """Take the next interim; returns what has become stable since, often nothing.

        An interim that contradicts what was given out cannot take it back: nothing more is stable until
        the interims agree with it again.
        """
        self._recent.append(interim)
        if len(self._recent) < (self._recent.maxlen or 0):
            return ""
        agreed = _whole_words(common_prefix(self._recent), self._recent)
        if len(agreed) <= len(self._stable) or not agreed.startswith(self._stable):
            return ""
        new, self._stable = agreed[len(self._stable) :], agreed
        return new

    def finish(self, final: str) -> str:
        """End the segment; returns what the final adds to the stable text.

        Case and punctuation may differ: ``Where is it?`` adds ``?`` to ``where is it``. Where the final says
        other words, ``contradicted`` is set and nothing is added: what was given out is wrong, and whoever
        used it starts again from the final.
        """
        self._recent.clear()
        added = _beyond(self._stable, final)
        self.contradicted = added is None
        self._stable += added or ""
        return added or ""

    def reset(self) -> None:
        """Begin the next segment."""
        self._recent.clear()
        self._stable = ""
        self.contradicted = False


def common_prefix(texts: Iterable[str]) -> str:
    """The longest text that all of them begin with; of none: empty."""
    columns = zip(*texts, strict=False)
    return "".join(column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns))


def _beyond(stable: str, final: str) -> str | None:
    """The final's text after the words of ``stable``; None when it begins with other words."""
    position = 0
    for character in filter(_spoken, stable):
        while position < len(final) and not _spoken(final[position]):
            position += 1
        if position == len(final) or final[position].lower() != character.lower():
            return None
        position += 1
    return final[position:]


def _spoken(character: str) -> bool:
    """Whether the character is of a word: neither space nor punctuation."""
    return unicodedata.category(character)[0] not in "PZC"


def _whole_words(prefix: str, texts: Iterable[str]) -> str:
    """The prefix without a last word that some of the texts have not finished.

    A word is finished when a space follows it in every text. The end of a text finishes none: the next
    interim may go on with the word.
    """
    end = len(prefix)
    while end and not _divides(prefix, end, texts):
        end -= 1
    return prefix[:end].rstrip()


def _divides(prefix: str, end: int, texts: Iterable[str]) -> bool:
    """Whether no text has a word that runs across ``end``."""
    return all(
        end < len(text) and (text[end].isspace() or (_unspaced(prefix[end - 1]) and _starts(text[end])))
        for text in texts
    )


def _unspaced(character: str) -> bool:
    return unicodedata.name(character, "").startswith(_WIDE_SCRIPTS)


def _starts(character: str) -> bool:
    """Whether the character is no mark that belongs to the one before it."""
    return not unicodedata.combining(character)
