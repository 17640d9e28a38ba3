"""Looking at a day's latencies: is an agent slower than in the week before?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.reports.latency import PERCENTILES, StagePercentiles, latencies_by_day
from app.reports.regression import DAYS_BEFORE, LATENCY_REGRESSION, DayStage, Growth, growths
from app.reports.repository import add_event

_LOCK_KEY = 0x7472756E6E

_AGENTS = text(
    """
    SELECT DISTINCT agent FROM calls
    WHERE started_at >= cast(:since AS timestamptz) - interval '1 day' AND started_at < :until
    ORDER BY agent
    """
)
_TOLD = text(
    """
    SELECT detail ->> 'agent' AS agent, detail ->> 'stage' AS stage FROM system_events
    WHERE name = :name AND at >= cast(:since AS timestamptz) AND detail ->> 'day' = :day
    """
)


@dataclass(frozen=True, slots=True)
class Regression:
    """A stage of an agent that was slower on a day than before."""

    day: date
    agent: str
    stage: str
    turns: int
    growths: tuple[Growth, ...]


async def watch_latency(session: AsyncSession, day: date) -> list[Regression]:
    """Compare a day (UTC) that is over with the week before it, and write a system event of each regression.

    Each is told of once, however often and in however many processes this is done. Returns the new ones.
    """
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    since, until = _begins(day), _begins(day + timedelta(days=1))
    agents = (await session.scalars(_AGENTS, {"since": since, "until": until})).all()
    parameters = {"name": LATENCY_REGRESSION, "since": since, "day": day.isoformat()}
    told = {(row.agent, row.stage) for row in await session.execute(_TOLD, parameters)}
    new: list[Regression] = []
    for agent in agents:
        days = await latencies_by_day(session, since - timedelta(days=DAYS_BEFORE), until, agent)
        new += [found for found in _regressions(agent, day, days) if (agent, found.stage) not in told]
    for found in new:
        add_event(session, LATENCY_REGRESSION, _detail(found))
    return new


def _regressions(agent: str, day: date, days: Mapping[date, Sequence[StagePercentiles]]) -> list[Regression]:
    stages = {found: {one.stage: _day_stage(one) for one in days[found]} for found in days}
    earlier = [stages[found] for found in sorted(stages) if found < day]
    regressions = []
    for name, now in stages.get(day, {}).items():
        grown = growths(now, [one[name] for one in earlier])
        if grown:
            regressions.append(Regression(day, agent, name, now.turns, grown))
    return regressions


def _day_stage(one: StagePercentiles) -> DayStage:
    return DayStage(one.count, dict(zip(PERCENTILES, one.percentiles, strict=False)))


def _detail(found: Regression) -> dict[str, Any]:
    return {
        "day": found.day.isoformat(),
        "agent": found.agent,
        "stage": found.stage,
        "turns": found.turns,
        "days_before": DAYS_BEFORE,
        "grown": [
            {
                "percentile": round(growth.percentile * 100),
                "before_ms": round(growth.before_ms, 1),
                "after_ms": round(growth.after_ms, 1),
            }
            for growth in found.growths
        ],
    }


def _begins(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
