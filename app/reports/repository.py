"""SQL of the figures of calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, case, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.models import Call, RefusedCall
from app.reports.models import SystemEvent


class Part(StrEnum):
    """What the calls of a period are grouped by."""

    DAY = "day"
    HOUR = "hour"
    AGENT = "agent"
    NUMBER = "number"


_TIMES = {Part.DAY: ("day", "YYYY-MM-DD"), Part.HOUR: ("hour", 'YYYY-MM-DD"T"HH24:MI:SS"Z"')}


async def call_figures(
    session: AsyncSession, since: datetime, until: datetime, agent: str | None, by: Part
) -> Sequence[Row[Any]]:
    """Counts and sums of the calls that began in a period, in parts."""
    columns: dict[str, ColumnElement[Any]] = {
        "calls": func.count(),
        "ended": func.count(Call.ended_at),
        "duration_seconds": func.coalesce(func.sum(Call.duration_seconds), 0.0),
        "turns": func.coalesce(func.sum(Call.turn_count), 0),
        "barge_ins": func.coalesce(func.sum(Call.barge_ins), 0),
        "interruptions": func.coalesce(func.sum(Call.interruptions), 0),
        "caller_seconds": func.coalesce(func.sum(Call.caller_seconds), 0.0),
        "agent_seconds": func.coalesce(func.sum(Call.agent_seconds), 0.0),
        "scored": func.count(Call.score),
        "score": func.coalesce(func.sum(Call.score), 0.0),
    }
    query = select(_part(by).label("part"), *(value.label(name) for name, value in columns.items()))
    found: Sequence[Row[Any]] = (
        await session.execute(_of_period(query, since, until, agent).group_by("part"))
    ).all()
    return found


async def calls_by(
    session: AsyncSession, since: datetime, until: datetime, agent: str | None, by: Part, column: str
) -> Sequence[Row[Any]]:
    """How many calls of each part have each value of ``column``: rows (part, value, n)."""
    value = getattr(Call, column)
    query = select(_part(by).label("part"), value.label("value"), func.count().label("n"))
    query = _of_period(query, since, until, agent).where(value.is_not(None))
    return (await session.execute(query.group_by("part", "value"))).all()


async def refused_calls(
    session: AsyncSession, since: datetime, until: datetime, by: Part
) -> dict[str | None, int]:
    """Calls turned away in a period, by day or hour; of agents and numbers, all under ``None``."""
    part: ColumnElement[Any] = literal(None)
    if by in _TIMES:
        unit, form = _TIMES[by]
        part = func.to_char(func.date_trunc(unit, RefusedCall.at), form)
    query = select(part.label("part"), func.count()).where(RefusedCall.at >= since, RefusedCall.at < until)
    return {row[0]: row[1] for row in await session.execute(query.group_by("part"))}


def add_event(session: AsyncSession, name: str, detail: dict[str, Any]) -> None:
    """Something operators should look at."""
    session.add(SystemEvent(name=name, detail=detail))


async def recent_events(session: AsyncSession, hours: int = 24) -> dict[str, int]:
    """How many events there were in the last hours, by name."""
    since = func.now() - func.make_interval(0, 0, 0, 0, hours)
    query = select(SystemEvent.name, func.count()).where(SystemEvent.at >= since)
    return {row[0]: row[1] for row in await session.execute(query.group_by(SystemEvent.name))}


def _part(by: Part) -> ColumnElement[Any]:
    if by is Part.AGENT:
        return Call.agent.expression
    if by is Part.NUMBER:  # the one of ours
        return case((Call.direction == "outbound", Call.from_number), else_=Call.to_number)
    unit, form = _TIMES[by]
    return func.to_char(func.date_trunc(unit, Call.started_at), form)


def _of_period(query: Select[Any], since: datetime, until: datetime, agent: str | None) -> Select[Any]:
    query = query.where(Call.started_at >= since, Call.started_at < until)
    return query if agent is None else query.where(Call.agent == agent)
