"""Dates with a month's name or ordinals, as they are said: "the third of may nineteen eighty five". Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.privacy.language import Language
from app.privacy.numbers import is_number
from app.privacy.tokens import Sort, Token


@dataclass(frozen=True, slots=True)
class Date:
    """Tokens ``first`` to ``last``, exclusive.

    ``named``: with a month's name; ``numbers``: numbers besides it and ordinals, ``behind`` those after them.
    """

    first: int
    last: int
    named: bool
    ordinals: int
    numbers: int
    behind: int

    @property
    def has_day_and_month(self) -> bool:
        """At least a month and a day or a year, or two ordinals: "the second of the seventh"."""
        return (self.named and self.ordinals + self.numbers > 0) or self.ordinals >= 2

    @property
    def is_full(self) -> bool:
        """A year too, as far as the count of numbers tells."""
        day_before = self.ordinals > 0 or self.numbers > self.behind
        return self.has_day_and_month and self.behind >= (1 if day_before else 2)


def dates(tokens: Sequence[Token], language: Language, taken: frozenset[int]) -> list[Date]:
    """All of them, in order; tokens ``taken`` belong to none."""
    found: list[Date] = []
    index = 0
    while index < len(tokens):
        last = index
        while last < len(tokens) and last not in taken and _may_stand(tokens, last, language):
            last += 1
        date = _date(tokens, index, last, language) if last > index else None
        if date is not None:
            found.append(date)
        index = max(last, index + 1)
    return found


def _may_stand(tokens: Sequence[Token], index: int, language: Language) -> bool:
    token = tokens[index]
    text = token.text
    if is_number(token, language) or text in language.months or text in language.ordinals:
        return True
    if text in language.ordinal_ends:
        return token.glued and index > 0 and tokens[index - 1].sort is Sort.FIGURES
    return text in language.date_words


def _date(tokens: Sequence[Token], first: int, last: int, language: Language) -> Date | None:
    while first < last and tokens[first].text in language.date_words:
        first += 1
    while last > first and tokens[last - 1].text in language.date_words:
        last -= 1
    texts = [token.text for token in tokens[first:last]]
    named = any(text in language.months for text in texts)
    ordinals = sum(text in language.ordinals or text in language.ordinal_ends for text in texts)
    ended = sum(text in language.ordinal_ends for text in texts)
    numbers = _numbers(tokens[first:last], language)
    marks = (language.months, language.ordinals, language.ordinal_ends)
    mark = max((i for i, text in enumerate(texts) if any(text in words for words in marks)), default=-1)
    behind = _numbers(tokens[first + mark + 1 : last], language)
    date = Date(first, last, named, ordinals, numbers - ended, behind)
    return date if date.has_day_and_month else None


def _numbers(tokens: Sequence[Token], language: Language) -> int:
    """How many numbers; "twenty three" is one."""
    count = 0
    for index, token in enumerate(tokens):
        unit = index > 0 and tokens[index - 1].text in language.tens and token.text in language.digits
        count += is_number(token, language) and not unit
    return count
