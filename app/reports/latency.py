"""Percentiles of the stages' latencies over any period, from counts of the hours that are over.

An hour is counted ``SETTLED`` after it ended; what is not counted is read from the turns. A turn that is
stored later still, after an outage, has its hour counted anew. Counts are by whole milliseconds, so
percentiles are exact to half a millisecond.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import ARRAY, DateTime, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.writing.hours import SETTLED, hour_of, lock_hours
from app.db.session import Database
from app.voice.events import STAGES

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
# ``n`` tells the spans of one statement apart.
_MEASURED = f"""
    FROM turns JOIN calls ON calls.id = turns.call_id
    CROSS JOIN LATERAL (
        VALUES {", ".join(f"('{stage}', turns.{stage}_ms)" for stage in STAGES)}
    ) AS measured (stage, value)
    WHERE turns.at >= :since{{n}} AND turns.at < :until{{n}} AND turns.response_ms IS NOT NULL
      AND calls.started_at >= cast(:since{{n}} AS timestamptz) - interval '1 day'
      AND calls.started_at < :until{{n}} AND measured.value IS NOT NULL
"""
_COUNT = text(
    f"""
    INSERT INTO latency_hours (hour, agent, stage, milliseconds, counts)
    SELECT hour, agent, stage, array_agg(ms ORDER BY ms), array_agg(n ORDER BY ms)
    FROM (
        SELECT date_trunc('hour', turns.at) AS hour, calls.agent, measured.stage,
               round(measured.value)::integer AS ms, count(*)::integer AS n
        {_MEASURED.format(n="")} GROUP BY 1, 2, 3, 4
    ) AS counted
    GROUP BY hour, agent, stage
    """  # noqa: S608
)

_LIVE = f"""
    SELECT date_trunc('day', turns.at) AS day, measured.stage, round(measured.value)::integer AS ms, 1 AS n
    {_MEASURED} AND (cast(:agent AS text) IS NULL OR calls.agent = :agent)
"""
_STORED = """
    SELECT date_trunc('day', hour) AS day, stage, ms, n
    FROM latency_hours JOIN latency_counted USING (hour)
    CROSS JOIN LATERAL unnest(milliseconds, counts) AS counted (ms, n)
    WHERE hour >= cast(:since_whole AS timestamptz) AND hour < cast(:until_whole AS timestamptz)
      AND (cast(:agent AS text) IS NULL OR agent = :agent)
"""
# As ``percentile_cont``: between two values where a percentile falls between them.
_VALUES = ", ".join(
    f"lower{n} + (upper{n} - lower{n}) * mod({share} * (turns - 1), 1) AS value{n}"
    for n, share in enumerate(PERCENTILES)
)
_BOUNDS = ", ".join(
    f"min(ms) FILTER (WHERE upto > floor({share} * (turns - 1))) AS lower{n}, "
    f"min(ms) FILTER (WHERE upto > ceil({share} * (turns - 1))) AS upper{n}"
    for n, share in enumerate(PERCENTILES)
)
_PERCENTILES = f"""
    WITH counted AS (
        SELECT {{day}} AS day, stage, ms, sum(n) AS n FROM ({{parts}}) AS parts GROUP BY 1, 2, 3
    ), ranked AS (
        SELECT day, stage, ms, sum(n) OVER (PARTITION BY day, stage ORDER BY ms) AS upto,
               sum(n) OVER (PARTITION BY day, stage) AS turns
        FROM counted
    ), bounded AS (
        SELECT day, stage, turns, {_BOUNDS} FROM ranked GROUP BY day, stage, turns
    )
    SELECT day, stage, turns, {_VALUES} FROM bounded
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True)
class StagePercentiles:
    """A stage over ``count`` turns: milliseconds for each of ``PERCENTILES``, empty where there are none."""

    stage: str
    count: int
    percentiles: tuple[float, ...]


async def latencies(
    session: AsyncSession, since: datetime, until: datetime, agent: str | None
) -> tuple[StagePercentiles, ...]:
    """The stages over the turns that ended from ``since`` until before ``until``."""
    found = await _percentiles(session, since, until, agent, "NULL::timestamptz")
    return found.get(None) or _stages({})


async def latencies_by_day(
    session: AsyncSession, since: datetime, until: datetime, agent: str | None
) -> dict[date, tuple[StagePercentiles, ...]]:
    """The same for each day (UTC) in which there were turns, oldest first."""
    days = await _percentiles(session, since, until, agent, "day")
    return {day.date(): days[day] for day in sorted(filter(None, days))}


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


async def _percentiles(
    session: AsyncSession, since: datetime, until: datetime, agent: str | None, day: str
) -> dict[datetime | None, tuple[StagePercentiles, ...]]:
    """The stages of a period by ``day``, an expression over the day in which a turn ended."""
    parts, values = await _parts(session, since, until)
    if not parts:
        return {}
    statement = text(_PERCENTILES.format(day=day, parts=" UNION ALL ".join(parts)))
    days: dict[datetime | None, dict[str, StagePercentiles]] = {}
    for row in await session.execute(statement, {**values, "agent": agent}):
        percentiles = tuple(float(getattr(row, f"value{n}")) for n in range(len(PERCENTILES)))
        stage = StagePercentiles(row.stage, int(row.turns), percentiles)
        days.setdefault(row.day, {})[row.stage] = stage
    return {found: _stages(stages) for found, stages in days.items()}


async def _parts(
    session: AsyncSession, since: datetime, until: datetime
) -> tuple[list[str], dict[str, datetime]]:
    """What gives the values of a period: the counts of its whole hours, and the turns of all else."""
    whole_since, whole_until = hour_of(since + HOUR - timedelta.resolution), hour_of(until)
    if whole_since >= whole_until:
        parts, values, spans = [], {}, [(since, until)]
    else:
        parts, values = [_STORED], {"since_whole": whole_since, "until_whole": whole_until}
        uncounted = await _uncounted(session, whole_since, whole_until)
        spans = [(since, whole_since), *uncounted, (whole_until, until)]
    for n, (begins, ends) in enumerate(span for span in spans if span[0] < span[1]):
        parts.append(_LIVE.format(n=n))
        values |= {f"since{n}": begins, f"until{n}": ends}
    return parts, values


def _stages(found: Mapping[str, StagePercentiles]) -> tuple[StagePercentiles, ...]:
    return tuple(found.get(stage, StagePercentiles(stage, 0, ())) for stage in STAGES)


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
