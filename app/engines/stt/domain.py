"""What a recogniser listens for: an agent's phrases, and numbers said digit by digit. Pure.

A word that the pronouncing dictionary lacks cannot be heard: it is left out of its phrase and named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.engines.stt.ngram import END, START, NgramCounts

DIGIT_WORDS = ("zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DOUBLE = "double"
LEAD_INS = ("it is", "the number is", "my parcel number is", "number")
"""What may come before the digits of a number."""

_ALWAYS = ("yes", "no", "hello", "goodbye", "number")
_DIGITS_WEIGHT = 3.0  # of the digits among the phrases: one phrase counts 1
_NUMBER_ENDS = 5.0  # a digit is followed by another one so many times more often than by the end
_EXTRA_DIGITS = 2  # a number may be said with so many digits too many
_WRONG_LENGTH = 1e-4  # to the power of the digits missing or too many
_DOUBLE_SHARE = 0.05
_LEAD_IN_SHARE = 0.3

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*|\d")
_FIGURES = dict(zip("0123456789", ("zero", *DIGIT_WORDS[2:]), strict=True))

Pronunciations = Mapping[str, list[str]]
"""Word -> its pronunciations, each as phones separated by spaces."""

Arc = tuple[int, int, float, str] | tuple[int, int, float]
"""A grammar's transition: from, to, probability and the word, or no word."""


def phrase_words(phrase: str) -> list[str]:
    """A phrase's words as the dictionary writes them; figures are spoken digit by digit."""
    return [_FIGURES.get(word, word) for word in _WORD.findall(phrase.lower().replace("’", "'"))]


@dataclass(frozen=True, slots=True)
class Domain:
    """A language model with the dictionary of its words."""

    arpa: str
    dictionary: str  # a word and its phones a line
    missing: tuple[str, ...]  # words of the phrases that cannot be heard


def build_domain(phrases: Iterable[str], known: Pronunciations) -> Domain:
    """The trigram model of the phrases and of digits anywhere."""
    counts = NgramCounts()
    missing: set[str] = set()
    for phrase in dict.fromkeys((*phrases, *_ALWAYS)):
        words = phrase_words(phrase)
        missing.update(word for word in words if word not in known)
        heard = [word for word in words if word in known]
        if heard:
            counts.add(heard)
    _add_digits(counts)
    words_used = counts.words() | {word for phrase in LEAD_INS for word in phrase.split()}
    return Domain(counts.arpa(), _dictionary(words_used, known), tuple(sorted(missing)))


def _add_digits(counts: NgramCounts) -> None:
    """Any digit may follow any digit, a phrase's likely last word, or nothing."""
    before = [*DIGIT_WORDS, DOUBLE]
    each = _DIGITS_WEIGHT / len(before)
    pairs = [(first, second) for first in before for second in before if (first, second) != (DOUBLE, DOUBLE)]
    counts.add_pairs(pairs, each)
    counts.add_pairs(((START, digit) for digit in before), each)
    counts.add_pairs(((digit, END) for digit in DIGIT_WORDS), _DIGITS_WEIGHT / _NUMBER_ENDS)
    for word in ("is", "number", *(counts.words() & {"parcel", "package", "order"})):
        counts.add_pairs(((word, digit) for digit in before), each / 3)


def _dictionary(words: Iterable[str], known: Pronunciations) -> str:
    lines = [
        f"{word}{f'({index})' if index > 1 else ''} {phones}"
        for word in sorted(words)
        for index, phones in enumerate(known[word], 1)
    ]
    return "\n".join(lines) + "\n"


def digits_grammar(length: int | None) -> tuple[int, int, list[Arc]]:
    """A grammar of numbers: first state, last state, arcs.

    Of ``length`` digits; with fewer or more it is possible but unlikely, so that a wrong number is heard as
    such. ``None``: any length. Without this count, one digit in ten was heard twice or not at all.
    """
    states: dict[object, int] = {}

    def state(key: object) -> int:
        return states.setdefault(key, len(states))

    first, last = state("first"), state("last")
    arcs: list[Arc] = [(first, state(0), 1.0 - _LEAD_IN_SHARE)]
    for lead_in in LEAD_INS:
        words = lead_in.split()
        at = first
        for index, word in enumerate(words):
            to = state(0) if index == len(words) - 1 else state((lead_in, index))
            arcs.append((at, to, _LEAD_IN_SHARE / len(LEAD_INS) if index == 0 else 1.0, word))
            at = to
    top = length + _EXTRA_DIGITS if length is not None else 1
    share = 1.0 / len(DIGIT_WORDS)
    for count in range(top):
        after_one, after_two = state(count + 1), state(count + 2) if count + 2 <= top else None
        arcs += [(state(count), after_one, share, digit) for digit in DIGIT_WORDS]
        if after_two is not None:
            arcs.append((state(count), state((DOUBLE, count)), _DOUBLE_SHARE, DOUBLE))
            arcs += [(state((DOUBLE, count)), after_two, share, digit) for digit in DIGIT_WORDS]
    if length is None:
        arcs.append((state(1), state(0), 0.9))
    for count in range(1, top + 1):
        wrong = abs(count - length) if length is not None else 0
        arcs.append((state(count), last, _WRONG_LENGTH**wrong))
    return first, last, arcs


def read_pronunciations(lines: Iterable[str]) -> dict[str, list[str]]:
    """A CMU dictionary: ``word phones``, further pronunciations as ``word(2) phones``."""
    known: dict[str, list[str]] = {}
    for line in lines:
        word, _, phones = line.strip().partition(" ")
        if phones:
            known.setdefault(word.split("(", maxsplit=1)[0], []).append(phones.strip())
    return known
