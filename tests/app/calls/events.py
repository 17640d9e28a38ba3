"""Events of calls, as conversations report them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from app.voice.events import (
    Backchannel,
    CallEnded,
    CallerWord,
    CallNoted,
    CallRecord,
    CallStarted,
    Outcome,
    TurnCompleted,
    TurnLatency,
)
from telephony.errors import HangupCause

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def started(
    call_id: UUID | None = None,
    *,
    at: datetime = NOON,
    agent: str = "parcel",
    carrier_call_id: str = "",
    agent_version: int = 1,
) -> CallStarted:
    call_id = call_id or uuid4()
    return CallStarted(
        call_id=call_id,
        at=at,
        carrier="twilio",
        carrier_call_id=carrier_call_id or f"CA{call_id.hex}",
        direction="inbound",
        from_number="+15550001111",
        to_number="+15550002222",
        agent=agent,
        agent_version=agent_version,
    )


def turn(
    call_id: UUID,
    index: int = 0,
    *,
    at: datetime = NOON,
    text: str = "where is my parcel",
    latency: TurnLatency | None = None,
) -> TurnCompleted:
    return TurnCompleted(
        call_id=call_id,
        at=at,
        index=index,
        caller_text=text,
        caller_started=1.0,
        caller_ended=2.5,
        reply_text="It arrives tomorrow. Anything else?",
        heard_text="It arrives",
        interrupted=True,
        latency=latency
        or TurnLatency(stt=90, endpoint=300, llm=150, phrase=40, tts=80, send=5, response=575),
        backchannels=(Backchannel("mm-hmm", "backchannel", 4.0, 4.4),),
        caller_words=(CallerWord("where", 1.0, 1.25, 0.98765), CallerWord("is", 1.250125, 1.4)),
        caller_confidence=0.91234,
        caller_language="en-US",
    )


def noted(call_id: UUID, name: str = "barge_in", *, at: datetime = NOON) -> CallNoted:
    return CallNoted(call_id=call_id, at=at, name=name, detail={"seconds": 1.5, "words": 3, "late": False})


def ended(
    call_id: UUID, *, at: datetime = NOON + timedelta(seconds=30), outcome: Outcome = Outcome.CALLER
) -> CallEnded:
    return CallEnded(call_id=call_id, at=at, cause=HangupCause.CALLER, outcome=outcome, duration=30.0)


def whole_call(
    turns: int = 2,
    *,
    at: datetime = NOON,
    agent: str = "parcel",
    outcome: Outcome = Outcome.CALLER,
    latency: TurnLatency | None = None,
) -> list[CallRecord]:
    call_id = uuid4()
    return [
        started(call_id, at=at, agent=agent),
        *(turn(call_id, index, at=at, latency=latency) for index in range(turns)),
        noted(call_id, at=at),
        ended(call_id, at=at + timedelta(seconds=30), outcome=outcome),
    ]
