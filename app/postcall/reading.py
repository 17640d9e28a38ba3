"""A finished call out of the database."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.models import AgentVersion
from app.calls.models import Call, CallEvent, Turn
from app.calls.repository import CLOCK_STEP
from app.postcall.record import FinishedCall, FinishedTurn, Noted
from app.privacy.models import CallTurn
from app.voice.events import Backchannel, CallerWord
from app.voice.profile import AgentProfile

LATEST = timedelta(days=2)
"""How long after the end of its call a turn or an event may be dated: the carrier's callbacks come later."""


async def read_call(session: AsyncSession, call_id: UUID, started_at: datetime) -> FinishedCall | None:
    """The call that began at ``started_at``; ``None`` where there is none that has ended."""
    call = await session.get(Call, (call_id, started_at))
    if call is None or call.ended_at is None:
        return None
    # The times let PostgreSQL look into one or two partitions alone.
    since, until = started_at - CLOCK_STEP, call.ended_at + LATEST
    turns = await session.scalars(
        select(Turn).where(Turn.call_id == call_id, Turn.at >= since, Turn.at < until).order_by(Turn.index)
    )
    events = await session.scalars(
        select(CallEvent)
        .where(CallEvent.call_id == call_id, CallEvent.at >= since, CallEvent.at < until)
        .order_by(CallEvent.number)
    )
    profile, unread = await _profile(session, call.agent, call.agent_version)
    return FinishedCall(
        id=call.id,
        started_at=call.started_at,
        ended_at=call.ended_at,
        profile=profile,
        unread=unread,
        agent_version=call.agent_version,
        carrier=call.carrier,
        carrier_call_id=call.carrier_call_id,
        direction=call.direction,
        from_number=call.from_number,
        to_number=call.to_number,
        duration_seconds=call.duration_seconds or 0.0,
        cause=call.cause or "",
        outcome=call.outcome or "unknown",
        language=call.language or profile.language,
        turns=tuple(_turn(turn) for turn in turns),
        events=tuple(Noted(event.number, event.at, event.name, event.detail) for event in events),
    )


async def _profile(session: AsyncSession, agent: str, version: int) -> tuple[AgentProfile, str]:
    """The profile that answered; else one of defaults, and why. Those of files are stored as well."""
    stored = await session.get(AgentVersion, (agent, version))
    what = f"the profile that answered, version {version} of agent {agent!r}, cannot be read"
    if stored is None:
        problem = "it is not in the database; restore it from a backup"
    else:
        try:
            return AgentProfile.model_validate(stored.profile), ""
        except ValidationError as error:
            field = ".".join(map(str, error.errors(include_url=False, include_input=False)[0]["loc"]))
            problem = f"{field} does not fit this worker's version of Trunkline; run that which stored it"
    return AgentProfile(name=agent), f"{what}: {problem}, and start the step again"


def _turn(turn: Turn) -> FinishedTurn:
    said = CallTurn(
        index=turn.index,
        caller_text=turn.caller_text,
        caller_words=tuple(CallerWord(**word) for word in turn.caller_words),
        caller_started=turn.caller_started,
        caller_ended=turn.caller_ended,
        caller_language=turn.caller_language,
        reply_text=turn.reply_text,
        heard_text=turn.heard_text,
        reply_started=turn.reply_started,
        reply_ended=turn.reply_ended,
        backchannels=tuple(Backchannel(**each) for each in turn.backchannels),
    )
    return FinishedTurn(said, turn.at, turn.interrupted, turn.response_ms)
