"""Every night: is an agent slower than in the week before? Operators are told of it by a system event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog

from app.reports.latency import count_closed_hours
from app.reports.watching import watch_latency as watch
from app.tasks.celery import celery
from app.tasks.runtime import run_task
from app.tasks.tools import Tools

_log = structlog.get_logger(__name__)


@celery.task(name="watch_latency")  # type: ignore[untyped-decorator]
def watch_latency() -> None:
    """Compare yesterday (UTC) with the seven days before."""
    run_task(_watch)


async def _watch(tools: Tools) -> None:
    """Raises when the database is away. What was told of once is not told of again."""
    now = datetime.now(UTC)
    await count_closed_hours(tools.database, now=now)
    async with tools.database.transaction() as session:
        found = await watch(session, now.date() - timedelta(days=1))
    for one in found:
        _log.warning(
            "an agent became slower",
            agent=one.agent,
            stage=one.stage,
            day=one.day.isoformat(),
            turns=one.turns,
        )
