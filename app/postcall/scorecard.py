"""An agent's scorecard: criteria that can be counted, and what all of them make together. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.postcall.classification import contains
from app.postcall.record import FinishedCall
from app.postcall.statistics import interruptions
from app.voice.after_call import Criterion

MOSTLY = 0.9
"""The share of replies that must be quick for a yes."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How a call meets one criterion: ``value`` from 0 to 1, ``None`` where it cannot be told; and why."""

    name: str
    value: float | None
    reason: str
    weight: float


def counted(call: FinishedCall, criterion: Criterion) -> Mark:
    """The mark of a criterion that has a rule."""
    match criterion.rule:
        case "said":
            value, reason = _said(call, criterion)
        case "quick":
            value, reason = _quick(call, criterion)
        case "uninterrupted":
            value, reason = _uninterrupted(call)
        case _:
            value, reason = _understood(call)
    if criterion.kind == "yes_no" and value is not None:
        least = MOSTLY if criterion.rule == "quick" else 1.0
        value = float(value >= least)
    return Mark(criterion.name, value, reason, criterion.weight)


def total(marks: Iterable[Mark]) -> float | None:
    """0 to 100; what cannot be told does not count. ``None``: nothing can."""
    known = [(mark.value, mark.weight) for mark in marks if mark.value is not None]
    if not known:
        return None
    return round(100 * sum(value * weight for value, weight in known) / sum(weight for _, weight in known), 1)


def _said(call: FinishedCall, criterion: Criterion) -> tuple[float | None, str]:
    heard = [said.heard_text for said in call.said if said.heard_text]
    places = {"first": heard[:1], "last": heard[-1:], "anywhere": heard}[criterion.where]
    for text in places:
        if any(contains(text, phrase) for phrase in criterion.phrases):
            return 1.0, "the agent said it"
    where = "" if criterion.where == "anywhere" else f" in its {criterion.where} words"
    return 0.0, f"the agent did not say it{where}"


def _quick(call: FinishedCall, criterion: Criterion) -> tuple[float | None, str]:
    waits = [turn.response_ms for turn in call.turns if turn.response_ms is not None]
    if not waits:
        return None, "the agent answered nothing"
    quick = sum(wait <= criterion.milliseconds for wait in waits)
    return quick / len(waits), f"{quick} of {len(waits)} replies began within {criterion.milliseconds:g} ms"


def _uninterrupted(call: FinishedCall) -> tuple[float | None, str]:
    turns = sum(bool(said.caller_text) for said in call.said)
    if not turns:
        return None, "the caller said nothing"
    times = sum(1 for _ in interruptions(call))
    return 1 - times / turns, f"the agent took the floor from the caller in {times} of {turns} turns"


def _understood(call: FinishedCall) -> tuple[float | None, str]:
    turns = sum(bool(said.caller_text) for said in call.said)
    if not turns:
        return None, "the caller said nothing"
    missed = min(turns, call.noted("no_match"))
    return 1 - missed / turns, f"{missed} of {turns} turns were not understood"
