"""What a rule of spoken text is. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from app.voice.speakable.speller import Speller
from app.voice.speakable.spoken import Edit

Rewrite: TypeAlias = Callable[[re.Match[str], Speller], Iterable[Edit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """What ``pattern`` finds is spoken as ``rewrite`` says; the names of the pattern's groups are its own."""

    name: str
    pattern: str
    rewrite: Rewrite


def said(match: re.Match[str], text: str) -> list[Edit]:
    """All of the match is spoken as ``text``."""
    return [Edit(match.start(), match.end(), text)]


def digit_by_digit(text: str, begin: int, end: int) -> list[Edit]:
    """The letters and digits one by one, a short pause where they are grouped: ``5 5 5, 0 1 0 0``."""
    edits: list[Edit] = []
    at = begin
    while at < end:
        word_end = at
        while word_end < end and text[word_end].isalnum():
            word_end += 1
        edits += [Edit(inside, inside, " ") for inside in range(at + 1, word_end)]
        at = word_end
        while at < end and not text[at].isalnum():
            at += 1
        if at < end:
            edits.append(Edit(word_end, at, ", "))
    return edits
