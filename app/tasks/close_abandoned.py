"""Close the calls of processes that are gone, also while no web process runs."""

from __future__ import annotations

import asyncio

from app.calls import service
from app.db.start import open_database
from app.tasks.celery import celery, worker_settings
from config.settings import Settings


@celery.task(name="close_abandoned")  # type: ignore[untyped-decorator]
def close_abandoned() -> int:
    """Close them; returns how many. Raises ``DatabaseError``."""
    return asyncio.run(_close(worker_settings()))


async def _close(settings: Settings) -> int:
    async with (
        open_database(settings.database_url.get_secret_value(), settings.data_dir) as database,
        database.transaction() as session,
    ):
        return await service.close_abandoned(session)
