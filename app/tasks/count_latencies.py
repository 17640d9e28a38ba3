"""Count the latencies of the hours that are over, so that reports need not read their turns."""

from __future__ import annotations

from app.reports.latency import count_closed_hours
from app.tasks.celery import celery
from app.tasks.runtime import run_task
from app.tasks.tools import Tools


@celery.task(name="count_latencies")  # type: ignore[untyped-decorator]
def count_latencies() -> int:
    """Count them; returns how many hours."""
    return run_task(_count) or 0


async def _count(tools: Tools) -> int:
    return await count_closed_hours(tools.database)
