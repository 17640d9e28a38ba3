"""A finished call against its scenario."""

from __future__ import annotations

from dataclasses import dataclass

from tests.scenarios.rules import RULES
from tests.scenarios.took import Took
from tests.scenarios.truth import broken


@dataclass(frozen=True, slots=True)
class Verdict:
    """One expectation: what it says, and why it is not met; empty: it is."""

    text: str
    line: int | None  # of the scenario's file; None: it holds in every call
    problem: str


def judge(took: Took) -> list[Verdict]:
    """Every expectation that counts where the call was held, then what holds in every call."""
    verdicts = [
        Verdict(wanted.text, wanted.line, RULES[wanted.rule].judge(took, wanted.values))
        for wanted in took.scenario.expectations
        if wanted.place in {None, took.place}
    ]
    found = broken(took)
    return [*verdicts, *(Verdict("what holds in every call", None, problem) for problem in found)]


def complaint(took: Took) -> str:
    """What is wrong with a call, a line each; empty: nothing."""
    path = took.scenario.path
    return "\n".join(
        f"{path.name}{f':{verdict.line}' if verdict.line else ''}: {verdict.text}: {verdict.problem}"
        for verdict in judge(took)
        if verdict.problem
    )
