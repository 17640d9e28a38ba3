"""Events of calls as rows: many events, four statements. Writing an event twice leaves it as it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias, cast
from uuid import UUID

from sqlalchemy import Table, bindparam, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.models import Call, CallEvent, Turn
from app.voice.events import CallEnded, CallerWord, CallNoted, CallRecord, CallStarted, TurnCompleted

Row: TypeAlias = dict[str, Any]

# Tables, not classes: SQLAlchemy's ORM would take three times as long for each batch.
_CALLS = cast(Table, Call.__table__)
_TURNS = cast(Table, Turn.__table__)
_EVENTS = cast(Table, CallEvent.__table__)

_START_CALLS = insert(_CALLS).on_conflict_do_nothing(index_elements=["id"])
_ADD_TURNS = insert(_TURNS).on_conflict_do_nothing()
_ADD_EVENTS = insert(_EVENTS).on_conflict_do_nothing()
_END_CALLS = (
    update(_CALLS)
    .where(_CALLS.c.id == bindparam("call"))
    .values(
        ended_at=bindparam("at"),
        duration_seconds=bindparam("duration"),
        cause=bindparam("because"),
        outcome=bindparam("result"),
    )
)


@dataclass(frozen=True, slots=True)
class Entry:
    """An event on its way to the database. ``number`` makes it the same event on every try."""

    number: int
    event: CallRecord


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a batch, by statement, in the order in which they must be written."""

    started: list[Row] = field(default_factory=list)
    turns: list[Row] = field(default_factory=list)
    noted: list[Row] = field(default_factory=list)
    ended: list[Row] = field(default_factory=list)

    def add(self, entry: Entry, instance_id: UUID) -> None:
        """Take an event of a call that ``instance_id`` answers."""
        event = entry.event
        match event:
            case CallStarted():
                self.started.append(_started(event, instance_id))
            case TurnCompleted():
                self.turns.append(_turn(event))
            case CallNoted():
                self.noted.append(
                    {
                        "call_id": event.call_id,
                        "number": entry.number,
                        "at": event.at,
                        "name": event.name,
                        "detail": event.detail,
                    }
                )
            case CallEnded():
                self.ended.append(
                    {
                        "call": event.call_id,
                        "at": event.at,
                        "duration": event.duration,
                        "because": event.cause.value,
                        "result": event.outcome.value,
                    }
                )

    async def write(self, session: AsyncSession) -> None:
        """Write all rows, each kind with one statement."""
        for statement, rows in (
            (_START_CALLS, self.started),
            (_ADD_TURNS, self.turns),
            (_ADD_EVENTS, self.noted),
            (_END_CALLS, self.ended),
        ):
            if rows:
                await session.execute(statement, rows)


async def write_entries(session: AsyncSession, entries: Iterable[Entry], instance_id: UUID) -> None:
    """Store events of calls that ``instance_id`` answers. Raises what SQLAlchemy raises."""
    rows = Rows()
    for entry in entries:
        rows.add(entry, instance_id)
    await rows.write(session)


def _started(event: CallStarted, instance_id: UUID) -> Row:
    return {
        "id": event.call_id,
        "instance_id": instance_id,
        "carrier": event.carrier,
        "carrier_call_id": event.carrier_call_id,
        "direction": event.direction,
        "from_number": event.from_number,
        "to_number": event.to_number,
        "agent": event.agent,
        "agent_version": event.agent_version,
        "started_at": event.at,
    }


def _turn(event: TurnCompleted) -> Row:
    latency = event.latency
    return {
        "call_id": event.call_id,
        "index": event.index,
        "at": event.at,
        "caller_text": event.caller_text,
        "caller_started": event.caller_started,
        "caller_ended": event.caller_ended,
        "reply_text": event.reply_text,
        "heard_text": event.heard_text,
        "interrupted": event.interrupted,
        "backchannels": [asdict(backchannel) for backchannel in event.backchannels],
        "caller_words": [_word(word) for word in event.caller_words],
        "caller_confidence": _rounded(event.caller_confidence),
        "caller_language": event.caller_language,
        "stt_ms": latency.stt,
        "endpoint_ms": latency.endpoint,
        "llm_ms": latency.llm,
        "phrase_ms": latency.phrase,
        "tts_ms": latency.tts,
        "send_ms": latency.send,
        "response_ms": latency.response,
    }


def _word(word: CallerWord) -> Row:
    """Milliseconds are enough of a time, and thousandths of a confidence."""
    return {
        "text": word.text,
        "started": round(word.started, 3),
        "ended": round(word.ended, 3),
        "confidence": _rounded(word.confidence),
    }


def _rounded(confidence: float | None) -> float | None:
    return None if confidence is None else round(confidence, 3)
