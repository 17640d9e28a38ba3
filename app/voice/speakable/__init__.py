"""Text made speakable: what a person would say who reads it out on the telephone. Pure.

Numbers, dates, times, money, measures, addresses and telephone numbers become words of the language;
Markdown, HTML, code and emoji are left out. A language whose numbers CLDR cannot spell keeps its figures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from app.voice.speakable import addresses, quantities, times
from app.voice.speakable.markup import without_markup
from app.voice.speakable.rule import Rewrite
from app.voice.speakable.speller import Speller, speller_of
from app.voice.speakable.spoken import Edit, Spoken, as_written, rewritten

__all__ = ["Spoken", "speakable"]

_MARKUP = re.compile(r"[^\w\s.,;:!?'\"’%$€£/&+°-]|^[ \t]*[-+:;]|_|&\w+;|[ \t][:;]-?[)(DP]|---", re.MULTILINE)
_UNSPELT = re.compile(r"[0-9@½⅓⅔¼¾]|://|\w\.\w|\s[&=]\s")

_UNSPACED = frozenset({"ja", "km", "lo", "my", "th", "yue", "zh"})
"""Languages whose own letters may touch a number; in others a number within a word is part of it."""


def speakable(text: str, language: str) -> Spoken:
    """What is spoken for ``text`` in a language (BCP 47), empty where nothing is to be said. Never raises.

    A sentence of plain words is unchanged. The first text of a language takes 15 ms: its rules are read.
    """
    spoken = as_written(text)
    if _MARKUP.search(text):
        spoken = without_markup(spoken)
    if _UNSPELT.search(spoken.text) and (speller := speller_of(language)) is not None:
        spoken = rewritten(spoken, _edits(spoken.text, speller))
    return spoken if any(map(str.isalnum, spoken.text)) else Spoken("", (len(text),))


def _edits(text: str, speller: Speller) -> Iterator[Edit]:
    pattern, rewrites = _rules_of(speller)
    for match in pattern.finditer(text):
        yield from rewrites[match.lastgroup or ""](match, speller)


@lru_cache(maxsize=64)
def _rules_of(speller: Speller) -> tuple[re.Pattern[str], dict[str, Rewrite]]:
    """All rules of a language as one pattern, the first that fits wins; what they do, by their name."""
    rules = [*times.rules(speller), *addresses.rules(), *quantities.rules(speller)]
    words = re.ASCII if speller.language in _UNSPACED else re.UNICODE
    pattern = re.compile("|".join(f"(?P<{rule.name}>{rule.pattern})" for rule in rules), words)
    return pattern, {rule.name: rule.rewrite for rule in rules}
