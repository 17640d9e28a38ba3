"""What the customer's systems are told of a call. Pure. docs/webhooks.md describes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.postcall.plan import CLASSIFY, FINALISE, SCORE, SENTIMENT, STATISTICS, SUMMARY
from app.postcall.record import FinishedCall

CALL_ENDED = "call.ended"
EVENTS = (CALL_ENDED,)
"""What an endpoint may ask for."""


def call_ended(call: FinishedCall, results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The message that a call ended and was worked up. ``results``: of the steps that are done, by step.

    The same call and results make the same message.
    """
    classified = results.get(CLASSIFY, {})
    return {
        "type": CALL_ENDED,
        "timestamp": call.ended_at.isoformat(),
        "data": {
            "call": _call(call),
            "summary": results.get(SUMMARY, {}).get("text"),
            "disposition": classified.get("disposition"),
            "fields": classified.get("fields", {}),
            "sentiment": results.get(SENTIMENT, {}).get("overall"),
            "score": results.get(SCORE),
            "statistics": results.get(STATISTICS),
            "recording": results.get(FINALISE),
            "transcript": _transcript(call),
        },
    }


def _call(call: FinishedCall) -> dict[str, Any]:
    return {
        "id": str(call.id),
        "carrier": call.carrier,
        "carrier_call_id": call.carrier_call_id,
        "direction": call.direction,
        "from_number": call.from_number,
        "to_number": call.to_number,
        "agent": call.profile.name,
        "agent_version": call.agent_version,
        "language": call.language,
        "started_at": call.started_at.isoformat(),
        "ended_at": call.ended_at.isoformat(),
        "duration_seconds": call.duration_seconds,
        "cause": call.cause,
        "outcome": call.outcome,
    }


def _transcript(call: FinishedCall) -> list[dict[str, Any]]:
    """What was said and heard, in order; times, where known, are seconds of the call's media clock."""
    lines = []
    for said in call.said:
        if said.caller_text:
            lines.append(
                {
                    "speaker": "caller",
                    "text": said.caller_text,
                    "started": said.caller_started,
                    "ended": said.caller_ended,
                }
            )
        if said.heard_text:
            lines.append(
                {
                    "speaker": "agent",
                    "text": said.heard_text,
                    "started": said.reply_started,
                    "ended": said.reply_ended,
                }
            )
    return lines
