"""A text as words, figures and signs with their places. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from app.privacy.models import Kind


class Sort(Enum):
    """What a token is."""

    WORD = auto()
    FIGURES = auto()
    SIGN = auto()
    MASK = auto()  # what was found already, or a placeholder for it


@dataclass(frozen=True, slots=True)
class Token:
    """One token. ``text`` is in lower case, its digits ASCII; ``written`` is as it stands in the text."""

    text: str
    begin: int
    end: int
    sort: Sort
    written: str
    glued: bool  # no space before it

    @property
    def is_letter(self) -> bool:
        """A single Latin letter."""
        return self.sort is Sort.WORD and len(self.text) == 1 and "a" <= self.text <= "z"


_PLACEHOLDER = re.compile("|".join(re.escape(kind.placeholder) for kind in Kind))
_TOKEN = re.compile(r"(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*)|(?P<figures>\d+)|(?P<sign>[^\w\s]|_)")
_MASK = "\0"


def tokenise(text: str, masked: Sequence[tuple[int, int]] = ()) -> list[Token]:
    """The tokens of a text; characters ``masked`` are one opaque token each, as placeholders are."""
    tokens: list[Token] = []
    last = -1
    for begin, end, sort in _pieces(text, masked):
        if sort is Sort.MASK:
            tokens.append(Token(_MASK, begin, end, sort, _MASK, begin == last))
            last = end
            continue
        for match in _TOKEN.finditer(text, begin, end):
            kind = Sort[(match.lastgroup or "sign").upper()]
            tokens.append(Token(_plain(match[0], kind), *match.span(), kind, match[0], match.start() == last))
            last = match.end()
    return tokens


def placeholders(text: str) -> list[tuple[int, int]]:
    """Where placeholders stand in a text."""
    return [match.span() for match in _PLACEHOLDER.finditer(text)]


def _pieces(text: str, masked: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, Sort]]:
    at = 0
    for begin, end in sorted([*masked, *placeholders(text)]):
        if end <= at:
            continue
        if begin > at:
            yield at, begin, Sort.WORD
        yield max(begin, at), end, Sort.MASK
        at = end
    yield at, len(text), Sort.WORD


def _plain(written: str, sort: Sort) -> str:
    if sort is Sort.FIGURES:
        return "".join(str(unicodedata.decimal(digit)) for digit in written)
    return written.lower().replace("’", "'") if sort is Sort.WORD else written
