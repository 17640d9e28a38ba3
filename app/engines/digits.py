"""Numbers spoken digit by digit, in English: words to digits. Pure.

Understood: ``one`` to ``nine``, ``zero`` and ``oh``; ``double five`` and ``triple five``; figures
(``12 345``); ``twelve`` and ``twenty three``, as people group longer numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

UNITS = {
    "zero": "0", "oh": "0", "o": "0", "nought": "0", "one": "1", "two": "2", "three": "3", "four": "4",
    "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
}  # fmt: skip
TEENS = {
    "ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14", "fifteen": "15",
    "sixteen": "16", "seventeen": "17", "eighteen": "18", "nineteen": "19",
}  # fmt: skip
TENS = {
    "twenty": "2", "thirty": "3", "forty": "4", "fifty": "5", "sixty": "6", "seventy": "7", "eighty": "8",
    "ninety": "9",
}  # fmt: skip
TIMES = {"double": 2, "triple": 3, "treble": 3}

_WORD = re.compile(r"[a-z]+|\d+")
_PAUSES = frozenset({"uh", "um", "er", "ah", "and", "dash"})  # may stand between digits


def digit_runs(text: str) -> list[str]:
    """The digits of each unbroken stretch of spoken digits, in order; a lone ``oh`` is an exclamation."""
    words = _WORD.findall(text.lower())
    runs: list[str] = []
    current, alone = "", True
    index = 0
    while index < len(words):
        digits, used = _digits_at(words, index)
        if digits:
            alone = not current and words[index] in {"oh", "o"}
            current += digits
        elif words[index] not in _PAUSES and current:
            runs += [] if alone else [current]
            current = ""
        index += max(1, used)
    if current and not alone:
        runs.append(current)
    return runs


def find_number(text: str, length: int) -> str | None:
    """The number of ``length`` digits in the text, when it holds one.

    An exclaimed ``oh`` before it does not count, nor does saying it twice.
    """
    runs = digit_runs(text)
    for candidate in (*runs, "".join(runs)):
        if len(candidate) == length:
            return candidate
        if len(candidate) == length + 1 and candidate[0] == "0":
            return candidate[1:]
        if len(candidate) == 2 * length and candidate[:length] == candidate[length:]:
            return candidate[:length]
    return None


def is_number(word: str) -> bool:
    """Whether a word, in lower case, is figures or names a number."""
    return word.isdigit() or word in UNITS or word in TEENS or word in TENS


def count_digits(text: str) -> int:
    """How many digits were said in all."""
    return sum(len(run) for run in digit_runs(text))


def spaced(digits: str) -> str:
    """Digits as they are written and read out one by one: ``1 2 3``."""
    return " ".join(digits)


def figures(text: str) -> str:
    """The text with every two and more single digits in a row written as figures: ``parcel 1 2 3``.

    Grouped numbers stay words: they may belong to a phrase (``twenty four hours``).
    """
    words = text.split()
    written: list[str] = []
    index = 0
    while index < len(words):
        digits, end = "", index
        while end < len(words) and (words[end] in UNITS or words[end] in TIMES):
            found, used = _digits_at(words, end)
            if not found:
                break
            digits, end = digits + found, end + used
        end = max(end, index + 1)
        written += list(digits) if len(digits) > 1 else words[index:end]
        index = end
    return " ".join(written)


def _digits_at(words: Sequence[str], index: int) -> tuple[str, int]:
    """The digits that begin at this word, and how many words they take; no digits: none begin here."""
    word = words[index]
    following = words[index + 1] if index + 1 < len(words) else ""
    if word.isdigit():
        return word, 1
    if word in UNITS:
        return UNITS[word], 1
    if word in TEENS:
        return TEENS[word], 1
    if word in TENS:
        unit = UNITS.get(following, "") if following not in {"zero", "oh", "o", "nought"} else ""
        return TENS[word] + (unit or "0"), 2 if unit else 1
    if word in TIMES and (following in UNITS or (len(following) == 1 and following.isdigit())):
        return UNITS.get(following, following) * TIMES[word], 2
    return "", 0
