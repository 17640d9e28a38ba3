"""The steps of the work after a call, in order, and what each waits for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a step stands."""

    WAITING = "waiting"  # to be done, or tried again
    DONE = "done"
    SKIPPED = "skipped"  # not asked for
    FAILED = "failed"  # for good: an operator can start it again


SETTLED = frozenset({State.DONE, State.SKIPPED, State.FAILED})


@dataclass(frozen=True, slots=True)
class Planned:
    """A step. It is not done before those it ``needs``, nor while one it goes ``after`` is waiting."""

    name: str
    needs: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()


FINALISE, REDACT, STATISTICS = "finalise_recording", "redact", "compute_statistics"
INDEX, SUMMARY, CLASSIFY = "index_transcript", "summarise", "classify"
SENTIMENT, SCORE, NOTIFY = "judge_sentiment", "score", "notify"

_REDACTED = frozenset({REDACT})

PLAN = (
    Planned(FINALISE),
    # Before all that makes use of the words: nothing may be made of what has to be taken out.
    Planned(REDACT, after=frozenset({FINALISE})),
    Planned(STATISTICS),
    Planned(INDEX, needs=_REDACTED),
    Planned(SUMMARY, needs=_REDACTED),
    Planned(CLASSIFY, needs=_REDACTED),
    Planned(SENTIMENT, needs=_REDACTED),
    Planned(SCORE, needs=_REDACTED),
    # With what there is: a summary that cannot be made holds up nobody for longer than its tries.
    Planned(
        NOTIFY,
        needs=_REDACTED,
        after=frozenset({FINALISE, STATISTICS, SUMMARY, CLASSIFY, SENTIMENT, SCORE}),
    ),
)

STEPS = tuple(step.name for step in PLAN)


@dataclass(frozen=True, slots=True)
class Ready:
    """The step can be done now."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Not before that one is settled."""

    by: str


@dataclass(frozen=True, slots=True)
class Hopeless:
    """One that it needs has failed for good."""

    needs: str


def readiness(step: Planned, states: Mapping[str, State]) -> Ready | Blocked | Hopeless:
    """Whether a step can be done, as the others stand."""
    for name in sorted(step.needs | step.after):
        state = states.get(name, State.WAITING)
        if state is State.WAITING:
            return Blocked(name)
        if state is State.FAILED and name in step.needs:
            return Hopeless(name)
    return Ready()


def to_do_again(name: str, plan: Iterable[Planned] = PLAN) -> frozenset[str]:
    """A step that is done again, and all that make use of what it does."""
    again = {name}
    for step in plan:
        if (step.needs | step.after) & again:
            again.add(step.name)
    return frozenset(again)
