"""Words of a text that say what the numbers near them are. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from app.privacy.language import Label, Language
from app.privacy.tokens import Sort, Token


@dataclass(frozen=True, slots=True)
class Found:
    """A cue: tokens ``first`` to ``last``, exclusive."""

    first: int
    last: int
    label: Label
    weak: bool


class Phrases:
    """Tokens joined by single spaces, and which token a character of that belongs to."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.text = " ".join(token.text for token in tokens)
        self._begins: list[int] = []
        at = 0
        for token in tokens:
            self._begins.append(at)
            at += len(token.text) + 1

    def tokens(self, begin: int, end: int) -> tuple[int, int]:
        """The first token, and the one after the last, of these characters."""
        return max(0, bisect_right(self._begins, begin) - 1), bisect_left(self._begins, end)

    def begin(self, token: int) -> int:
        """Where a token begins; the end for one past the last."""
        return self._begins[token] if token < len(self._begins) else len(self.text)


def cues(phrases: Phrases, language: Language) -> list[Found]:
    """All cues, in order."""
    found: list[Found] = []
    for match in language.cue_pattern.finditer(phrases.text):
        cue = language.cues[int((match.lastgroup or "c0")[1:])]
        found.append(Found(*phrases.tokens(*match.span()), cue.label, cue.weak))
    return found


def resolved(found: Sequence[Found]) -> list[Found]:
    """Without those that say nothing; "ending in" says what is named next to it or was before, or a card."""
    kept: list[Found] = []
    for number, cue in enumerate(found):
        if cue.label is Label.NOTHING:
            continue
        label: Label = cue.label
        if label is Label.ENDING:
            after = found[number + 1] if number + 1 < len(found) else None
            if after is not None and after.first - cue.last <= 1 and after.label is not Label.NOTHING:
                continue
            before = kept[-1].label if kept else Label.CARD
            label = before if before not in {Label.EMAIL, Label.NAME} else Label.CARD
        kept.append(Found(cue.first, cue.last, label, cue.weak))
    return kept


def sentence_starts(tokens: Sequence[Token]) -> list[int]:
    """The first token of each sentence, as far as signs tell."""
    starts = [0]
    for index, token in enumerate(tokens):
        if token.sort is Sort.SIGN and token.text in ".?!" and index + 1 < len(tokens):
            ends = not tokens[index + 1].glued
            if ends:
                starts.append(index + 1)
    return starts
