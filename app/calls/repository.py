"""SQL of the calls: lists, one call, latencies, and who answers them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Double, Row, cast, func, literal, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.models import Call, CallEvent, Instance, Turn

STAGES = ("stt", "endpoint", "llm", "phrase", "tts", "send", "response")
PERCENTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls: of an agent, with an outcome, started from ``since`` until before ``until``."""

    agent: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the list of calls, newest first: just after this call."""

    started_at: datetime
    id: UUID


async def newest_calls(
    session: AsyncSession, wanted: CallFilter, after: Position | None, limit: int
) -> Sequence[Call]:
    """At most ``limit`` calls, newest first."""
    query = select(Call).order_by(Call.started_at.desc(), Call.id.desc()).limit(limit)
    if wanted.agent is not None:
        query = query.where(Call.agent == wanted.agent)
    if wanted.outcome is not None:
        query = query.where(Call.outcome == wanted.outcome)
    if wanted.since is not None:
        query = query.where(Call.started_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(Call.started_at < wanted.until)
    if after is not None:
        query = query.where(
            tuple_(Call.started_at, Call.id) < tuple_(literal(after.started_at), literal(after.id))
        )
    return (await session.scalars(query)).all()


async def call_by_id(session: AsyncSession, call_id: UUID) -> Call | None:
    """One call."""
    return await session.get(Call, call_id)


async def turns_of(session: AsyncSession, call_id: UUID) -> Sequence[Turn]:
    """The turns of a call, in order."""
    return (await session.scalars(select(Turn).where(Turn.call_id == call_id).order_by(Turn.index))).all()


async def events_of(session: AsyncSession, call_id: UUID) -> Sequence[CallEvent]:
    """What was noted in a call, in order."""
    query = select(CallEvent).where(CallEvent.call_id == call_id).order_by(CallEvent.number)
    return (await session.scalars(query)).all()


async def latency_percentiles(
    session: AsyncSession, since: datetime | None, until: datetime | None, agent: str | None
) -> Row[Any]:
    """Per stage of all turns with a response: ``<stage>_count``, and as ``<stage>`` its percentiles in ms.

    A turn belongs to the period in which it ended.
    """
    fractions = cast(list(PERCENTILES), ARRAY(Double))
    columns: list[ColumnElement[Any]] = []
    for stage in STAGES:
        column = getattr(Turn, f"{stage}_ms")
        columns.append(func.count(column).label(f"{stage}_count"))
        columns.append(func.percentile_cont(fractions).within_group(column).label(stage))
    query = select(*columns).where(Turn.response_ms.is_not(None))
    if since is not None:
        query = query.where(Turn.at >= since)
    if until is not None:
        query = query.where(Turn.at < until)
    if agent is not None:
        query = query.join(Call, Call.id == Turn.call_id).where(Call.agent == agent)
    return (await session.execute(query)).one()


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

    A call ends when its instance was last heard of.
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
    return (await session.scalars(statement)).all()
