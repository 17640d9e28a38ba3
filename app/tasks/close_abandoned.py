"""Close the calls of processes that are gone, also while no web process runs."""

from __future__ import annotations

from app.calls import service
from app.tasks.celery import celery
from app.tasks.runtime import run_task
from app.tasks.tools import Tools


@celery.task(name="close_abandoned")  # type: ignore[untyped-decorator]
def close_abandoned() -> int:
    """Close them; returns how many. Raises ``DatabaseError``."""
    return run_task(_close) or 0


async def _close(tools: Tools) -> int:
    async with tools.database.transaction() as session:
        return await service.close_abandoned(session)
