"""SQL of the calls: lists, one call, latencies, and who answers them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Double,
    Row,
    Select,
    cast,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.models import Call, CallEvent, Instance, Leg, Turn
from app.calls.writing.rows import END_LEGS
from app.outbox.repository import owe

SPOOL_SECONDS = 60.0
"""For what a process that is gone left of its calls to be stored, before the work after them begins."""


CLOCK_STEP = timedelta(hours=1)
"""How far the clock of a process may be set back during a call: its turns are looked for from there on."""


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls; those that began from ``since`` until before ``until``.

    ``words``: said or heard in it, as ``websearch_to_tsquery`` reads them.
    """

    agent: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    disposition: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    words: str | None = None

    def equal(self) -> dict[str, str]:
        """The columns that must have a value, and which."""
        names = ("agent", "outcome", "disposition", "from_number", "to_number")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


def calls_query(wanted: CallFilter) -> Select[Any]:
    """The calls that a filter lets pass, whatever was said in them, in no order yet."""
    query = select(Call)
    for column, value in wanted.equal().items():
        query = query.where(getattr(Call, column) == value)
    if wanted.since is not None:
        query = query.where(Call.started_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(Call.started_at < wanted.until)
    return query


async def call_by_id(session: AsyncSession, call_id: UUID) -> Call | None:
    """One call."""
    return await session.scalar(select(Call).where(Call.id == call_id))


def running_calls() -> Select[Any]:
    """The calls that have not ended."""
    return select(Call).where(Call.ended_at.is_(None))


async def turns_of(session: AsyncSession, call: Call) -> Sequence[Turn]:
    """The turns of a call, in order."""
    query = select(Turn).where(Turn.call_id == call.id, Turn.at >= call.started_at - CLOCK_STEP)
    return (await session.scalars(query.order_by(Turn.index))).all()


async def events_of(session: AsyncSession, call: Call) -> Sequence[CallEvent]:
    """What was noted in a call, in order."""
    query = select(CallEvent).where(
        CallEvent.call_id == call.id, CallEvent.at >= call.started_at - CLOCK_STEP
    )
    return (await session.scalars(query.order_by(CallEvent.at, CallEvent.number))).all()


async def legs_of(session: AsyncSession, call: Call) -> Sequence[Leg]:
    """The legs of a call, in order."""
    query = select(Leg).where(Leg.call_id == call.id, Leg.started_at == call.started_at)
    return (await session.scalars(query.order_by(Leg.index))).all()


_SEGMENTS = text(
    """
    SELECT index AS turn, speaker, started, ended, text, heard_text, confidence, language
    FROM transcript_segments WHERE call_id = :call AND at >= :since
    ORDER BY index, coalesce(started, 'infinity'), part
    """
)


async def segments_of(session: AsyncSession, call: Call) -> Sequence[Row[Any]]:
    """Who said what in a call, in order."""
    since = call.started_at - CLOCK_STEP
    return (await session.execute(_SEGMENTS, {"call": call.id, "since": since})).all()


async def beat(session: AsyncSession, instance_id: UUID, host: str, pid: int) -> None:
    """Say that an instance lives, and make it known where it is not."""
    statement = insert(Instance).values(id=instance_id, host=host, pid=pid)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["id"], set_={"heartbeat_at": func.now(), "stopped_at": None}
        )
    )


async def mark_stopped(session: AsyncSession, instance_id: UUID) -> None:
    """Say that an instance answers no more calls."""
    await session.execute(
        update(Instance)
        .where(Instance.id == instance_id)
        .values(heartbeat_at=func.now(), stopped_at=func.now())
    )


async def end_calls_of_the_gone(
    session: AsyncSession, silent_seconds: float, *, cause: str, outcome: str
) -> Sequence[UUID]:
    """End the open calls of instances that stopped or have been silent for so long; returns the calls.

    A call ends when its instance was last heard of. The work after it waits ``SPOOL_SECONDS``.
    """
    gone_at = func.greatest(Call.started_at, func.coalesce(Instance.stopped_at, Instance.heartbeat_at))
    silent = Instance.heartbeat_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, silent_seconds)
    statement = (
        update(Call)
        .where(Call.instance_id == Instance.id, Call.ended_at.is_(None))
        .where(or_(Instance.stopped_at.is_not(None), silent))
        .values(
            ended_at=gone_at,
            duration_seconds=cast(func.extract("epoch", gone_at - Call.started_at), Double),
            cause=cause,
            outcome=outcome,
        )
        .returning(Call.id)
        .execution_options(synchronize_session=False)
    )
    ended = (await session.scalars(statement)).all()
    if ended:
        await session.execute(END_LEGS, {"calls": list(ended)})
        await owe(session, ended, in_seconds=SPOOL_SECONDS)
    return ended
