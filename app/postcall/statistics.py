"""Who spoke how long, and who took the floor from whom. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.postcall.record import FinishedCall, FinishedTurn

REACTION_SECONDS = 0.5
"""Nobody answers words that began less than this ago: who speaks so soon had not finished."""

_BARGE_IN = "barge_in"


@dataclass(frozen=True, slots=True)
class Statistics:
    """Columns of ``calls``. Seconds are ``None`` where no time of that speaker is known.

    ``turn_count``: turns in which the caller said something. ``barge_ins``: how often the caller took the
    floor from the agent. ``interruptions``: how often the agent took it from the caller: it began to reply,
    and the caller, who had only paused, spoke on within ``REACTION_SECONDS`` of the beginning, or already
    did. A reply that was taken back before anything of it was heard is none. ``caller_seconds``: speech by
    voice activity, "mm-hmm" included; ``agent_seconds``: speech that was heard.
    """

    turn_count: int
    barge_ins: int
    interruptions: int
    caller_seconds: float | None
    agent_seconds: float | None


def statistics_of(call: FinishedCall) -> Statistics:
    """The statistics of a call."""
    return Statistics(
        turn_count=sum(bool(turn.said.caller_text) for turn in call.turns),
        barge_ins=call.noted(_BARGE_IN),
        interruptions=sum(1 for _ in interruptions(call)),
        caller_seconds=_seconds(
            [
                *((turn.said.caller_started, turn.said.caller_ended) for turn in call.turns),
                *((each.started, each.ended) for turn in call.turns for each in turn.said.backchannels),
            ]
        ),
        agent_seconds=_seconds([(turn.said.reply_started, turn.said.reply_ended) for turn in call.turns]),
    )


def interruptions(call: FinishedCall) -> Iterator[FinishedTurn]:
    """The turns whose reply began while the caller had not finished."""
    for turn, following in zip(call.turns, call.turns[1:], strict=False):
        began, went_on = _reply_began(turn), following.said.caller_started
        if not turn.interrupted or not turn.said.caller_text or began is None or went_on is None:
            continue
        if went_on - began < REACTION_SECONDS:
            yield turn


def _reply_began(turn: FinishedTurn) -> float | None:
    """In seconds of the media clock; where the reply's time is not known, from the caller's wait for it."""
    if turn.said.reply_started is not None:
        return turn.said.reply_started
    if turn.said.caller_ended is None or turn.response_ms is None:
        return None
    return turn.said.caller_ended + turn.response_ms / 1000


def _seconds(spans: list[tuple[float | None, float | None]]) -> float | None:
    known = [(begin, end) for begin, end in spans if begin is not None and end is not None]
    return round(sum(max(0.0, end - begin) for begin, end in known), 3) if known else None
