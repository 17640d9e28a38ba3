"""Where in a phrase the words are that a speech service says it speaks, one after another."""

from __future__ import annotations

import unicodedata

_AHEAD = 5  # words of the phrase that may be passed over to find the next one

_SAME = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " ", "\u00ad": "-", "‑": "-"})


class SpokenWords:
    """Finds the words of one phrase, which come in order; some may be missing, or written otherwise."""

    def __init__(self, phrase: str) -> None:
        self._phrase = _plain(phrase)
        self._cursor = 0  # where the last word found ended

    def find(self, word: str) -> int | None:
        """The character of the phrase at which the next word begins; ``None`` when it is not found there."""
        wanted = _plain(word.strip())
        if not any(char.isalnum() for char in wanted):
            return None
        at = self._next(wanted)
        if at is None:
            at = self._later(wanted)
        if at is not None:
            self._cursor = at + len(wanted)
        return at

    def _next(self, wanted: str) -> int | None:
        """Where it begins if it is the next one: at the cursor, or after what is no letter and no digit."""
        for at in range(self._cursor, len(self._phrase)):
            if self._phrase.startswith(wanted, at):
                return at
            if self._phrase[at].isalnum():
                break
        return None

    def _later(self, wanted: str) -> int | None:
        """Where it begins among the words after the next one, as a word of its own."""
        at = self._phrase.find(wanted, self._cursor)
        while at >= 0:
            if len(self._phrase[self._cursor : at].split()) > _AHEAD:
                return None
            if not self._inside_word(at) and not self._inside_word(at + len(wanted)):
                return at
            at = self._phrase.find(wanted, at + 1)
        return None

    def _inside_word(self, at: int) -> bool:
        """Whether a word goes on across this character."""
        around = self._phrase[at - 1 : at + 1] if at else ""
        return len(around) == 2 and around.isalnum()


def _plain(text: str) -> str:
    """As it is compared: every character becomes exactly one, so that positions stay."""
    return "".join(_plain_character(char) for char in text.translate(_SAME))


def _plain_character(char: str) -> str:
    plain = unicodedata.normalize("NFKC", char).casefold()
    return plain if len(plain) == 1 else char
