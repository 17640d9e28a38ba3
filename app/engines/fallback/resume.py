"""Where in a phrase another voice goes on, when one broke off. Pure.

Up to the last word mark the words are known to be made; beyond it, and for voices without marks, the place is
estimated by the pace of the voice. A word that was less than half said is said again.
"""

from __future__ import annotations

import re

from app.engines.ports import WordMark

USUAL_PACE = 520.0
"""Samples at 8 kHz that a voice usually takes for a character: 15 characters a second."""

_WORD = re.compile(r"\S+")


def resume_at(phrase: str, made: int, marks: list[WordMark], pace: float) -> int:
    """The character of ``phrase`` at which to go on after ``made`` samples; its length: nothing is left.

    ``pace``: samples a character. ``marks``: the words that began in what was made.
    """
    words = list(_WORD.finditer(phrase))
    if not words:
        return len(phrase)
    last = marks[-1] if marks else WordMark(0, 0)
    reached = last.char + (made - last.sample) / pace
    if marks:
        word = next((word for word in words if word.start() <= last.char < word.end()), None)
        if word is not None:  # the next word has not begun: there would be a mark
            return word.start() if reached < (word.start() + word.end()) / 2 else _after(words, word, phrase)
    for word in words:
        if reached < (word.start() + word.end()) / 2:
            return word.start()
    return len(phrase)


def _after(words: list[re.Match[str]], word: re.Match[str], phrase: str) -> int:
    following = words[words.index(word) + 1 :]
    return following[0].start() if following else len(phrase)


def guessed_marks(text: str, pace: float) -> list[WordMark]:
    """Where the words of a text begin, for a voice that does not say so."""
    return [WordMark(word.start(), round(word.start() * pace)) for word in _WORD.finditer(text)]


class Pace:
    """How fast a voice speaks, by the phrases it has spoken; samples a character."""

    def __init__(self) -> None:
        self.value = USUAL_PACE
        self._known = False

    def spoke(self, characters: int, samples: int) -> None:
        """It spoke a whole phrase."""
        if characters < 10 or not samples:
            return
        pace = samples / characters
        self.value = 0.8 * self.value + 0.2 * pace if self._known else pace
        self._known = True
