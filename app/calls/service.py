"""What can be asked of stored calls, and the closing of those whose process is gone."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from uuid import UUID

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls import repository
from app.calls.models import Call, Turn
from app.calls.repository import STAGES, CallFilter, Position
from app.calls.schemas import (
    BackchannelDetail,
    CallDetail,
    CallerWordDetail,
    CallPage,
    CallSummary,
    EventDetail,
    LatencyReport,
    StageLatency,
    StageTimes,
    TurnDetail,
)
from app.metrics import CALLS_ABANDONED
from app.voice.events import Outcome
from telephony.errors import HangupCause

ABANDONED_SECONDS = 20.0  # without a heartbeat: six were missed

_log = structlog.get_logger(__name__)


class InvalidCursor(ValueError):
    """A cursor that was not made by ``list_calls``."""


async def list_calls(
    session: AsyncSession, wanted: CallFilter, *, cursor: str | None = None, limit: int = 50
) -> CallPage:
    """Calls, newest first, ``limit`` at a time. Raises ``InvalidCursor``."""
    after = _read_cursor(cursor) if cursor is not None else None
    found = await repository.newest_calls(session, wanted, after, limit + 1)
    calls = found[:limit]
    return CallPage(
        calls=[CallSummary.model_validate(call) for call in calls],
        next_cursor=_cursor(calls[-1]) if len(found) > limit else None,
    )


async def get_call(session: AsyncSession, call_id: UUID) -> CallDetail | None:
    """One call with its turns and events, or ``None``."""
    call = await repository.call_by_id(session, call_id)
    if call is None:
        return None
    turns = await repository.turns_of(session, call_id)
    events = await repository.events_of(session, call_id)
    return CallDetail(
        **CallSummary.model_validate(call).model_dump(),
        turns=[_turn(turn) for turn in turns],
        events=[EventDetail.model_validate(event) for event in events],
    )


async def latency_report(
    session: AsyncSession,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    agent: str | None = None,
) -> LatencyReport:
    """Percentiles of each stage's latency in a period, of one agent or of all."""
    row = (await repository.latency_percentiles(session, since, until, agent))._mapping
    stages = []
    for stage in STAGES:
        p50, p90, p99 = row[stage] or (None, None, None)
        stages.append(
            StageLatency(stage=stage, count=row[f"{stage}_count"], p50_ms=p50, p90_ms=p90, p99_ms=p99)
        )
    return LatencyReport(since=since, until=until, agent=agent, turns=row["response_count"], stages=stages)


async def close_abandoned(session: AsyncSession, silent_seconds: float = ABANDONED_SECONDS) -> int:
    """Close calls whose process stopped, or has had no heartbeat for so long; returns how many.

    They end as our fault, when their process was last heard of. Should the process live after all (the
    database was away from it alone), its own report of the end of the call replaces this one.
    """
    closed = await repository.end_calls_of_the_gone(
        session, silent_seconds, cause=HangupCause.SERVER_ERROR.value, outcome=Outcome.US.value
    )
    if closed:
        CALLS_ABANDONED.inc(len(closed))
        _log.warning("closed calls whose process is gone", calls=len(closed))
    return len(closed)


def _turn(turn: Turn) -> TurnDetail:
    return TurnDetail(
        index=turn.index,
        at=turn.at,
        caller_text=turn.caller_text,
        caller_started=turn.caller_started,
        caller_ended=turn.caller_ended,
        caller_words=[CallerWordDetail(**word) for word in turn.caller_words],
        caller_confidence=turn.caller_confidence,
        caller_language=turn.caller_language,
        reply_text=turn.reply_text,
        heard_text=turn.heard_text,
        interrupted=turn.interrupted,
        backchannels=[BackchannelDetail(**each) for each in turn.backchannels],
        latency_ms=StageTimes(**{stage: getattr(turn, f"{stage}_ms") for stage in STAGES}),
    )


def _cursor(call: Call) -> str:
    return (
        base64.urlsafe_b64encode(orjson.dumps([call.started_at.isoformat(), str(call.id)]))
        .decode()
        .rstrip("=")
    )


def _read_cursor(cursor: str) -> Position:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        started_at, call_id = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        position = Position(datetime.fromisoformat(started_at), UUID(call_id))
    except (ValueError, TypeError, AttributeError, binascii.Error):
        raise InvalidCursor("not a cursor of this list; leave it out to begin with the newest call") from None
    if position.started_at.tzinfo is None:
        raise InvalidCursor("not a cursor of this list; leave it out to begin with the newest call")
    return position
