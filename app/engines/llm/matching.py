"""Which of a script's intents a caller means: their words against each intent's phrases. Pure.

Recognisers drop, add and mangle words, so a phrase need not stand there letter by letter: its words are
looked for in order, small words count less than others, and long words may be off by a letter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from app.engines.llm.script import Intent

_LEAST_COVERAGE = 0.72  # of a phrase's weight: "where is the parcel" finds "where is my parcel"
_SMALL_WEIGHT = 0.25
_GAP_COST = 0.04  # for each caller's word between a phrase's words
_SMALL_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and are at be can could do does for from get give has have i in is it its just let like may me "
        "my of on or our please so that the there this to us want was we will with would you your",
    )
)
_FILLERS = frozenset({"uh", "um", "er", "erm", "ah", "hmm", "mm"})
_CONTRACTIONS = (
    (re.compile(r"\bcan'?t\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\b(do|does|did|is|are|was|were|has|have|had|could|would|should)n'?t\b"), r"\1 not"),
    (re.compile(r"\b(what|where|when|who|how|that|it|there|here)'?s\b"), r"\1 is"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'d\b"), " would"),
    (re.compile(r"\bi'?m\b"), "i am"),
)
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Match:
    """An intent found in the caller's words. A higher ``score`` is the better one; ``end``: its last word."""

    intent: str
    score: float
    end: int


@lru_cache(maxsize=4096)
def normalise(text: str) -> tuple[str, ...]:
    """The words of a text, small, without accents, contractions written out, fillers left out."""
    plain = unicodedata.normalize("NFKD", text.lower().replace("’", "'"))
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    for pattern, replacement in _CONTRACTIONS:
        plain = pattern.sub(replacement, plain)
    return tuple(word for word in _WORD.findall(plain.replace("'", "")) if word not in _FILLERS)


def best_match(text: str, intents: Mapping[str, Intent]) -> Match | None:
    """The intent that the text fits best; of equal ones the one said last. ``None``: it fits none."""
    words = normalise(text)
    said: dict[str, bool] = {}  # a phrase's word -> whether something like it was said
    best: Match | None = None
    for name, intent in intents.items():
        for phrase in intent.phrases:
            wanted = normalise(phrase)
            if not _is_reachable(wanted, words, said) or (found := _fit(wanted, words)) is None:
                continue
            match = Match(name, *found)
            if best is None or (match.score, match.end) > (best.score, best.end):
                best = match
    return best


def _weight(word: str) -> float:
    return _SMALL_WEIGHT if word in _SMALL_WORDS else 1.0


def _is_reachable(phrase: tuple[str, ...], words: tuple[str, ...], said: dict[str, bool]) -> bool:
    """Whether enough of the phrase was said in any order at all; most phrases end here."""
    total = reached = 0.0
    for wanted in phrase:
        if wanted not in said:
            said[wanted] = any(_likeness(wanted, word) for word in words)
        weight = _weight(wanted)
        total += weight
        reached += weight if said[wanted] else 0.0
    return reached > 0 and reached >= _LEAST_COVERAGE * total


@lru_cache(maxsize=16_384)
def _fit(phrase: tuple[str, ...], words: tuple[str, ...]) -> tuple[float, int] | None:
    """Score and last word of the best place of a phrase among the words; ``None`` where it covers too little.

    Weighted longest common subsequence: ``score[j]`` and ``end[j]`` are the best of the phrase's words so far
    among the first ``j`` words.
    """
    total = sum(_weight(word) for word in phrase)
    size = len(words) + 1
    score, span = [0.0] * size, [(0, 0)] * size  # span: first and last word matched, from 1
    for wanted in phrase:
        weight = _weight(wanted)
        next_score, next_span = [0.0] * size, [(0, 0)] * size
        for j in range(1, size):
            best, at = next_score[j - 1], next_span[j - 1]
            if score[j] > best:
                best, at = score[j], span[j]
            likeness = _likeness(wanted, words[j - 1])
            if likeness and score[j - 1] + weight * likeness > best:
                best, at = score[j - 1] + weight * likeness, (span[j - 1][0] or j, j)
            next_score[j], next_span[j] = best, at
        score, span = next_score, next_span
    covered, (first, last) = score[-1], span[-1]
    if covered / total < _LEAST_COVERAGE or not any(
        _weight(word) == 1.0 for word in words[max(first, 1) - 1 : last]
    ):
        return None
    gaps = max(0, (last - first + 1) - len(phrase))
    return covered * covered / total - _GAP_COST * gaps, last


@lru_cache(maxsize=65_536)
def _likeness(wanted: str, heard: str) -> float:
    """1 for the same word, less for one that differs by a letter or a plural, 0 for another word."""
    if wanted == heard:
        return 1.0
    shorter, longer = sorted((len(wanted), len(heard)))
    if shorter >= 3 and (wanted == heard + "s" or heard == wanted + "s"):
        return 0.95
    allowed = 0 if shorter < 5 else 1 if shorter < 8 else 2
    if longer - shorter > allowed or not allowed or wanted[0] != heard[0]:
        return 0.0
    return 0.85 if edit_distance(wanted, heard) <= allowed else 0.0


def edit_distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Letters, or words, to put in, leave out or replace to make one of the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for index, first in enumerate(one, 1):
        previous, row[0] = row[0], index
        for place, second in enumerate(other, 1):
            previous, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, previous + (first != second)),
            )
    return row[-1]
