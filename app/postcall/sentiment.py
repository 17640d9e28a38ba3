"""How the caller felt, by the words: VADER's lexicon and rules, for English."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from app.postcall.record import FinishedCall

LANGUAGE = "en"

# VADER's own thresholds: https://github.com/cjhutto/vaderSentiment#about-the-scoring
POSITIVE, NEGATIVE = 0.05, -0.05


@dataclass(frozen=True, slots=True)
class Feeling:
    """Of one turn: ``score`` from -1 to 1, and its ``label``."""

    index: int
    score: float
    label: str


def can_judge(language: str) -> bool:
    """Whether there is a lexicon of this language (BCP 47)."""
    return language.split("-", maxsplit=1)[0].lower() == LANGUAGE


def feelings(call: FinishedCall) -> list[Feeling]:
    """Of each of the caller's turns."""
    found = []
    for said in call.said:
        if said.caller_text:
            score = float(_analyser().polarity_scores(said.caller_text)["compound"])
            found.append(Feeling(said.index, round(score, 3), label(score)))
    return found


def overall(found: list[Feeling]) -> float:
    """Of the whole call: later turns count for more, and those without feeling do not water it down."""
    felt = [(place + 1, feeling.score) for place, feeling in enumerate(found) if feeling.score]
    if not felt:
        return 0.0
    return round(sum(weight * score for weight, score in felt) / sum(weight for weight, _ in felt), 3)


def label(score: float) -> str:
    """The word for a score."""
    if score >= POSITIVE:
        return "positive"
    return "negative" if score <= NEGATIVE else "neutral"


@cache
def _analyser() -> Any:
    # Read where it is needed: its lexicon takes a moment, and only the worker judges calls.
    from vaderSentiment.vaderSentiment import (  # type: ignore[import-untyped]  # noqa: PLC0415
        SentimentIntensityAnalyzer,
    )

    return SentimentIntensityAnalyzer()
