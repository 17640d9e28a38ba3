"""Events of a call with the times at which its stages were."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from app.voice.events import CallEnded, CallNoted, CallStarted, Outcome, TurnCompleted, TurnLatency
from telephony.errors import HangupCause
from tests.app.calls.events import NOON, started, turn

ENGINES = {"stt": "vosk", "llm": "big", "tts": "piper"}
LATENCY = TurnLatency(stt=90, endpoint=300, llm=150, phrase=40, tts=80, send=5, response=575)
SECRETS = ("+15550001111", "+15550002222", "where is my parcel", "It arrives", "mm-hmm", "4111")


def at(seconds: float) -> datetime:
    """So many seconds after the call was answered."""
    return NOON + timedelta(seconds=seconds)


def begun(call_id: UUID, agent: str = "parcel") -> CallStarted:
    return replace(started(call_id, agent=agent), language="en-US")


def answered(call_id: UUID, index: int = 0, *, replied: float = 10.0, ended: float = 14.0) -> TurnCompleted:
    """A turn whose reply was first sent 0.575 s after the caller stopped, who had spoken for 2 s."""
    return replace(
        turn(call_id, index, at=at(ended), latency=LATENCY),
        caller_started=replied - 2.575,
        caller_ended=replied - 0.575,
        reply_started=replied,
        reply_ended=ended,
        replied_at=at(replied),
        final_at=at(replied - 0.4),
    )


def greeted(call_id: UUID) -> TurnCompleted:
    return replace(
        turn(call_id, at=at(2.0), text="", latency=TurnLatency(llm=0.0, phrase=0.0, tts=30.0, send=1.0)),
        caller_started=None,
        caller_ended=None,
        interrupted=False,
        replied_at=at(0.1),
    )


def note(call_id: UUID, name: str, seconds: float, **detail: str | int | float | bool) -> CallNoted:
    return CallNoted(call_id, at(seconds), name, detail)


def switched(call_id: UUID, seconds: float, port: str, new: str) -> CallNoted:
    return CallNoted(
        call_id, at(seconds), "engine_switched", {"port": port, "from": ENGINES[port], "to": new}
    )


def over(call_id: UUID, seconds: float = 30.0, outcome: Outcome = Outcome.CALLER) -> CallEnded:
    cause = HangupCause.SERVER_ERROR if outcome is Outcome.US else HangupCause.CALLER
    return CallEnded(call_id, at(seconds), cause, outcome, seconds)
