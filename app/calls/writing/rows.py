"""Events of calls as rows: many events, few statements. Writing an event twice leaves it as it was.

With the end of a call goes the row of the outbox that has the work after the call done. An end that is
reported again with nothing new starts nothing; a new one, or a turn or a recording that comes after the end,
has all of it done again.

What comes of a call that was erased, or whose words were deleted because of their age, is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias, cast
from uuid import UUID

import orjson
import structlog
from sqlalchemy import Table, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.models import Call, CallEvent, Leg, RefusedCall, Turn
from app.calls.writing.hours import count_again
from app.outbox.repository import owe
from app.voice.events import (
    CallEnded,
    CallerWord,
    CallNoted,
    CallRecord,
    CallRefused,
    CallStarted,
    RecordingFinished,
    TurnCompleted,
)

Row: TypeAlias = dict[str, Any]

_log = structlog.get_logger(__name__)

# Tables, not classes: SQLAlchemy's ORM would take three times as long for each batch.
_CALLS = cast(Table, Call.__table__)
_TURNS = cast(Table, Turn.__table__)
_EVENTS = cast(Table, CallEvent.__table__)

_LEGS = cast(Table, Leg.__table__)

_START_CALLS = insert(_CALLS).on_conflict_do_nothing()
_START_LEGS = insert(_LEGS).on_conflict_do_nothing()
_ADD_TURNS = insert(_TURNS).on_conflict_do_nothing().returning(_TURNS.c.call_id, _TURNS.c.at)
_ADD_EVENTS = insert(_EVENTS).on_conflict_do_nothing()
_ADD_REFUSED = insert(cast(Table, RefusedCall.__table__)).on_conflict_do_nothing()

# A recording belongs to one call, so its row has the call's id.
_ADD_RECORDINGS = text(
    """
    INSERT INTO recordings (id, call_id, started_at, state, source, store, path, format, channels,
                            sample_rate, duration_seconds, pauses, shifts)
    SELECT calls.id, calls.id, calls.started_at, new.state, new.source, '', new.key, new.format,
           new.channels, new.rate, new.seconds, CAST(new.pauses AS jsonb), CAST(new.shifts AS jsonb)
    FROM unnest(CAST(:call_id AS uuid[]), CAST(:state AS text[]), CAST(:source AS text[]),
                CAST(:key AS text[]), CAST(:format AS text[]), CAST(:channels AS integer[]),
                CAST(:rate AS integer[]), CAST(:seconds AS double precision[]), CAST(:pauses AS text[]),
                CAST(:shifts AS text[]))
         AS new(call, state, source, key, format, channels, rate, seconds, pauses, shifts)
    JOIN calls ON calls.id = new.call
    ON CONFLICT (id) DO NOTHING
    RETURNING call_id
    """
)
_END_CALLS = text(
    """
    UPDATE calls
    SET ended_at = over.at, duration_seconds = over.duration, cause = over.cause, outcome = over.outcome
    FROM unnest(CAST(:calls AS uuid[]), CAST(:ats AS timestamptz[]), CAST(:durations AS double precision[]),
                CAST(:causes AS text[]), CAST(:outcomes AS text[]))
         AS over(call, at, duration, cause, outcome)
    WHERE calls.id = over.call
      AND (calls.ended_at, calls.duration_seconds, calls.cause, calls.outcome)
          IS DISTINCT FROM (over.at, over.duration, over.cause, over.outcome)
    RETURNING calls.id
    """
)
END_LEGS = text(
    """
    UPDATE legs SET ended_at = calls.ended_at, cause = calls.cause
    FROM calls
    WHERE calls.id = ANY(CAST(:calls AS uuid[]))
      AND legs.call_id = calls.id AND legs.started_at = calls.started_at AND legs.index = 0
    """
)
"""Ends the legs of ``:calls``, which have ended."""

_KEPT = text(
    """
    SELECT id, ended_at IS NOT NULL AS ended FROM calls
    WHERE id = ANY(CAST(:calls AS uuid[])) AND words_deleted_at IS NULL
    FOR KEY SHARE
    """
)
"""Of which calls something may be stored; until the end of the transaction they are not deleted."""

_DO_AGAIN = text(
    """
    UPDATE call_steps SET state = 'waiting', attempts = 0, due_at = now(), finished_at = NULL
    WHERE call_id = ANY(CAST(:calls AS uuid[]))
    """
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
    recorded: list[Row] = field(default_factory=list)
    refused: list[Row] = field(default_factory=list)
    ended: dict[UUID, CallEnded] = field(default_factory=dict)

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
            case RecordingFinished():
                self.recorded.append(_recorded(event))
            case CallRefused():
                self.refused.append(
                    {"carrier_call_id": event.carrier_call_id, "at": event.at, "reason": event.reason}
                )
            case CallEnded():
                self.ended[event.call_id] = event

    async def write(self, session: AsyncSession) -> None:
        """Write all rows, each kind with one statement."""
        if self.started:
            await session.execute(_START_CALLS, self.started)
            await session.execute(_START_LEGS, [_leg(row) for row in self.started])
        if self.refused:
            await session.execute(_ADD_REFUSED, self.refused)
        again = await self._add(session)  # the work after them may be done already
        if self.ended or again:
            await self._end(session, again)

    async def _add(self, session: AsyncSession) -> list[UUID]:
        """Add what belongs to calls; returns those that had ended before a new turn or recording came."""
        calls = {row["call_id"] for rows in (self.turns, self.noted, self.recorded) for row in rows}
        if not calls:
            return []
        kept = {row.id: row.ended for row in await session.execute(_KEPT, {"calls": sorted(calls)})}
        if gone := calls - kept.keys():
            _log.info("what comes of calls that were deleted is passed over", calls=len(gone))

        def of_kept(rows: list[Row]) -> list[Row]:
            return [row for row in rows if row["call_id"] in kept]

        new: set[UUID] = set()
        if turns := of_kept(self.turns):
            added = (await session.execute(_ADD_TURNS, turns)).all()
            await count_again(session, (row.at for row in added))
            new |= {row.call_id for row in added}
        if notes := of_kept(self.noted):
            await session.execute(_ADD_EVENTS, notes)
        if recorded := of_kept(self.recorded):
            columns = {name: [row[name] for row in recorded] for name in recorded[0]}
            new |= set(await session.scalars(_ADD_RECORDINGS, columns))
        return sorted(call_id for call_id in new - self.ended.keys() if kept[call_id])

    async def _end(self, session: AsyncSession, again: list[UUID]) -> None:
        """End calls, and have their work done; that of the calls ``again`` once more."""
        ends = list(self.ended.values())
        changed = await session.scalars(
            _END_CALLS,
            {
                "calls": [end.call_id for end in ends],
                "ats": [end.at for end in ends],
                "durations": [end.duration for end in ends],
                "causes": [end.cause.value for end in ends],
                "outcomes": [end.outcome.value for end in ends],
            },
        )
        over = [*changed, *again]
        if over:
            await session.execute(END_LEGS, {"calls": over})
            # The outbox first: whoever finds all steps done holds its row while it looks.
            await owe(session, over)
            await session.execute(_DO_AGAIN, {"calls": over})


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
        "prompt": event.prompt,
        "prompt_version": event.prompt_version,
        "voice": event.voice,
        "language": event.language,
        "started_at": event.at,
    }


def _leg(call: Row) -> Row:
    """The leg that a call begins with."""
    same = ("started_at", "carrier", "carrier_call_id", "direction", "from_number", "to_number")
    return {
        "call_id": call["id"],
        "index": 0,
        "answered_at": call["started_at"],
        **{name: call[name] for name in same},
    }


def _recorded(event: RecordingFinished) -> Row:
    """``recorded``: it is where the call was answered, and still has to go into its store."""
    return {
        "call_id": event.call_id,
        "state": "recorded" if event.state == "kept" else event.state,
        "source": event.source,
        "key": event.key,
        "format": event.format,
        "channels": event.channels,
        "rate": event.sample_rate,
        "seconds": event.duration,
        "pauses": orjson.dumps(event.pauses).decode(),
        "shifts": None if event.shifts is None else orjson.dumps(event.shifts).decode(),
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
        "reply_started": _placed(event.reply_started),
        "reply_ended": _placed(event.reply_ended),
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


def _placed(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _rounded(confidence: float | None) -> float | None:
    return None if confidence is None else round(confidence, 3)
