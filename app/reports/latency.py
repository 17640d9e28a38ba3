"""Percentiles of the stages' latencies over any period, from counts of the hours that are over.

An hour is counted ``SETTLED`` after it ended; what is not counted is read from the turns. A turn that is
stored later still, after an outage, has its hour counted anew. Counts are by whole milliseconds, so
percentiles are exact to half a millisecond.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain

import numpy as np
from sqlalchemy import ARRAY, DateTime, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.writing.hours import SETTLED, hour_of, lock_hours
from app.db.session import Database

STAGES = ("stt", "endpoint", "llm", "phrase", "tts", "send", "response")
PERCENTILES = (0.5, 0.9, 0.95, 0.99)
HOUR = timedelta(hours=1)
CHUNK_HOURS = 24  # counted by one transaction

_FIRST = text("SELECT min(at) FROM turns WHERE response_ms IS NOT NULL")
_COUNTED = text(
    "SELECT hour FROM latency_counted "
    "WHERE hour >= cast(:since AS timestamptz) AND hour < cast(:until AS timestamptz) ORDER BY hour"
)
_MARK = text("INSERT INTO latency_counted (hour) SELECT unnest(:hours)").bindparams(
    bindparam("hours", type_=ARRAY(DateTime(timezone=True)))
)
_FORGET = text("DELETE FROM latency_hours WHERE hour = ANY(:hours)").bindparams(
    bindparam("hours", type_=ARRAY(DateTime(timezone=True)))
)

# Turns with the latency of each stage; greetings have no response and stay out. A call lasts a day at most.
_MEASURED = f"""
    FROM turns JOIN calls ON calls.id = turns.call_id
    CROSS JOIN LATERAL (
        VALUES {", ".join(f"('{stage}', turns.{stage}_ms)" for stage in STAGES)}
    ) AS measured (stage, value)
    WHERE turns.at >= :since AND turns.at < :until AND turns.response_ms IS NOT NULL
      AND calls.started_at >= cast(:since AS timestamptz) - interval '1 day' AND calls.started_at < :until
      AND measured.value IS NOT NULL
"""
_COUNT = text(
    f"""
    INSERT INTO latency_hours (hour, agent, stage, milliseconds, counts)
    SELECT hour, agent, stage, array_agg(ms ORDER BY ms), array_agg(n ORDER BY ms)
    FROM (
        SELECT date_trunc('hour', turns.at) AS hour, calls.agent, measured.stage,
               round(measured.value)::integer AS ms, count(*)::integer AS n
        {_MEASURED} GROUP BY 1, 2, 3, 4
    ) AS counted
    GROUP BY hour, agent, stage
    """  # noqa: S608
)
_LIVE = text(
    f"""
    SELECT date_trunc('day', turns.at) AS day, measured.stage, round(measured.value)::integer AS ms,
           count(*) AS n
    {_MEASURED} AND (cast(:agent AS text) IS NULL OR calls.agent = :agent) GROUP BY 1, 2, 3
    """
)
_STORED = text(
    """
    SELECT date_trunc('day', hour) AS day, stage, ms, sum(n) AS n
    FROM latency_hours JOIN latency_counted USING (hour)
    CROSS JOIN LATERAL unnest(milliseconds, counts) AS counted (ms, n)
    WHERE hour >= cast(:since AS timestamptz) AND hour < cast(:until AS timestamptz)
      AND (cast(:agent AS text) IS NULL OR agent = :agent)
    GROUP BY 1, 2, 3
    """
)


@dataclass(frozen=True, slots=True)
class StagePercentiles:
    """A stage over ``count`` turns: milliseconds for each of ``PERCENTILES``, empty where there are none."""

    stage: str
    count: int
    percentiles: tuple[float, ...]


async def latencies(
    session: AsyncSession, since: datetime | None, until: datetime | None, agent: str | None
) -> tuple[StagePercentiles, ...]:
    """The stages over the turns that ended from ``since`` until before ``until``."""
    days = await _days(session, since, until, agent)
    return _percentiles(chain.from_iterable(days.values()))


async def latencies_by_day(
    session: AsyncSession, since: datetime | None, until: datetime | None, agent: str | None
) -> dict[date, tuple[StagePercentiles, ...]]:
    """The same for each day (UTC) in which there were turns, oldest first."""
    days = await _days(session, since, until, agent)
    return {day: _percentiles(days[day]) for day in sorted(days)}


async def count_closed_hours(database: Database, *, now: datetime | None = None) -> int:
    """Count the hours that are over and not counted yet, oldest first; returns how many.

    Safe in several processes at once, and beside turns that are being stored late: these wait for a
    transaction of at most ``CHUNK_HOURS``.
    """
    last = hour_of((now or datetime.now(UTC)) - SETTLED)
    counted = 0
    while True:
        async with database.transaction() as session:
            hours = await _count_oldest(session, last)
        if not hours:
            return counted
        counted += hours


async def _count_oldest(session: AsyncSession, last: datetime) -> int:
    """Count the oldest of the hours before ``last`` that are not counted."""
    await lock_hours(session)
    first = await session.scalar(_FIRST)
    spans = [] if first is None else await _uncounted(session, hour_of(first), last)
    if not spans:
        return 0
    since, until = spans[0]
    until = min(until, since + CHUNK_HOURS * HOUR)
    hours = [since + n * HOUR for n in range((until - since) // HOUR)]
    await session.execute(text("SET LOCAL work_mem = '64MB'"))  # for the sort of a day's values
    await session.execute(_FORGET, {"hours": hours})
    await session.execute(_COUNT, {"since": since, "until": until})
    await session.execute(_MARK, {"hours": hours})
    return len(hours)


Count = tuple[str, int, int]
"""A stage, milliseconds, how many turns took them."""


async def _days(
    session: AsyncSession, since: datetime | None, until: datetime | None, agent: str | None
) -> dict[date, list[Count]]:
    """What was counted in a period, by day."""
    begins = since or await session.scalar(_FIRST)
    ends = until or datetime.now(UTC) + timedelta(days=1)
    if begins is None or begins >= ends:
        return {}
    whole_since, whole_until = hour_of(begins + HOUR - timedelta.resolution), hour_of(ends)
    spans = [(begins, min(whole_since, ends)), (max(whole_until, begins), ends)]
    days: dict[date, list[Count]] = {}
    if whole_since < whole_until:
        spans[1:1] = await _uncounted(session, whole_since, whole_until)
        period = {"since": whole_since, "until": whole_until, "agent": agent}
        for row in await session.execute(_STORED, period):
            days.setdefault(row.day.date(), []).append((row.stage, row.ms, int(row.n)))
    for span_since, span_until in spans:
        if span_since < span_until:
            period = {"since": span_since, "until": span_until, "agent": agent}
            for row in await session.execute(_LIVE, period):
                days.setdefault(row.day.date(), []).append((row.stage, row.ms, row.n))
    return days


async def _uncounted(
    session: AsyncSession, since: datetime, until: datetime
) -> list[tuple[datetime, datetime]]:
    """The spans of whole hours that are not counted."""
    spans, begins = [], since
    for hour in await session.scalars(_COUNTED, {"since": since, "until": until}):
        if begins < hour:
            spans.append((begins, hour))
        begins = hour + HOUR
    if begins < until:
        spans.append((begins, until))
    return spans


def _percentiles(counted: Iterable[Count]) -> tuple[StagePercentiles, ...]:
    by_stage: dict[str, dict[int, int]] = {stage: {} for stage in STAGES}
    for stage, ms, count in counted:
        by_stage[stage][ms] = by_stage[stage].get(ms, 0) + count
    return tuple(stage_percentiles(stage, by_stage[stage]) for stage in STAGES)


def stage_percentiles(stage: str, counts: dict[int, int]) -> StagePercentiles:
    """A stage of ``counts`` turns by milliseconds.

    Like PostgreSQL's ``percentile_cont``: between two values where it falls between them.
    """
    if not counts:
        return StagePercentiles(stage, 0, ())
    values = np.array(sorted(counts))
    below = np.cumsum([counts[int(value)] for value in values])
    places = np.array(PERCENTILES) * (below[-1] - 1)
    lower = values[np.searchsorted(below, np.floor(places), side="right")]
    upper = values[np.searchsorted(below, np.ceil(places), side="right")]
    found = lower + (upper - lower) * (places - np.floor(places))
    return StagePercentiles(stage, int(below[-1]), tuple(float(value) for value in found))
