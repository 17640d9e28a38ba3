"""What can be asked of stored calls, and the closing of those whose process is gone."""

from __future__ import annotations

from uuid import UUID

import structlog
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls import repository
from app.calls.models import Call, Turn
from app.calls.repository import CallFilter
from app.calls.schemas import (
    BackchannelDetail,
    CallDetail,
    CallerWordDetail,
    CallSummary,
    EventDetail,
    LegDetail,
    SegmentDetail,
    Segments,
    StageTimes,
    TurnDetail,
    Turns,
)
from app.calls.search import search_calls
from app.metrics import CALLS_ABANDONED
from app.rest.listing import Asked, Listing
from app.voice.events import STAGES, Outcome
from telephony.errors import HangupCause

ABANDONED_SECONDS = 20.0  # without a heartbeat: six were missed
_NEVER_SECONDS = 1e9  # 30 years

_log = structlog.get_logger(__name__)


CALLS = Listing(
    "calls", CallSummary, {"started_at": Call.started_at}, (Call.started_at, Call.id), "-started_at"
)


async def find_calls(session: AsyncSession, wanted: CallFilter, asked: Asked) -> BaseModel:
    """A page of the calls that the filter lets pass."""
    if wanted.words is None:
        rows, cursor = await CALLS.rows(session, repository.calls_query(wanted), asked)
    else:
        after = asked.after and (asked.after[0], asked.after[1])
        found = await search_calls(session, wanted, after, descending=asked.descending, limit=asked.limit)
        rows, cursor = list(found.calls), found.next and asked.cursor_after(found.next)
    return CALLS.page([CallSummary.model_validate(row) for row in rows], cursor, asked)


async def get_call(session: AsyncSession, call_id: UUID) -> CallDetail | None:
    """One call with its legs, turns and events, or ``None``."""
    call = await repository.call_by_id(session, call_id)
    if call is None:
        return None
    return CallDetail(
        **CallSummary.model_validate(call).model_dump(),
        legs=[LegDetail.model_validate(leg) for leg in await repository.legs_of(session, call)],
        turns=[_turn(turn) for turn in await repository.turns_of(session, call)],
        events=[EventDetail.model_validate(event) for event in await repository.events_of(session, call)],
    )


async def call_turns(session: AsyncSession, call_id: UUID) -> Turns | None:
    """The turns of a call, or ``None``."""
    call = await repository.call_by_id(session, call_id)
    if call is None:
        return None
    return Turns(turns=[_turn(turn) for turn in await repository.turns_of(session, call)])


async def call_segments(session: AsyncSession, call_id: UUID) -> Segments | None:
    """A call's transcript by who spoke, or ``None``."""
    call = await repository.call_by_id(session, call_id)
    if call is None:
        return None
    found = await repository.segments_of(session, call)
    return Segments(segments=[SegmentDetail.model_validate(segment) for segment in found])


async def close_abandoned(session: AsyncSession, silent_seconds: float = ABANDONED_SECONDS) -> int:
    """Close calls whose process stopped, or has had no heartbeat for so long; returns how many.

    For those alone who know that the database was within reach for as long (``presence.Reach``): after an
    outage nobody has a fresh heartbeat.

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


async def close_stopped(session: AsyncSession) -> int:
    """Close calls whose process said that it answers no more; returns how many."""
    return await close_abandoned(session, _NEVER_SECONDS)


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
        reply_started=turn.reply_started,
        reply_ended=turn.reply_ended,
        interrupted=turn.interrupted,
        backchannels=[BackchannelDetail(**each) for each in turn.backchannels],
        latency_ms=StageTimes(**{stage: getattr(turn, f"{stage}_ms") for stage in STAGES}),
    )
