"""Every day, and when a worker starts: delete what is older than the settings and the agents' profiles let it
become, and what killed processes left that is nobody's."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from app.calls.erasing.days import Retention, read_retention
from app.calls.erasing.retention import apply_retention as apply
from app.calls.erasing.tables import is_known
from app.calls.spool.folder import SPOOL, delete_damaged
from app.recordings.leftover import delete_strays
from app.recordings.scratch import delete_left
from app.rest.once import forget_old_answers
from app.tasks.tools import Tools
from app.voice.after_call import Retention as Promised
from app.webhooks.repository import forget_delivered

DELIVERED_DAYS = 30
"""How long a webhook's message is kept once its receiver has it."""

DAMAGED_DAYS = 30
"""How long a damaged file of a spool is kept at most, which holds the words of anybody's calls."""

_log = structlog.get_logger(__name__)


async def apply_retention(tools: Tools) -> None:
    """Delete it. Raises when the database is away."""
    usual = tools.settings.retention
    async with tools.database.transaction() as session:
        await forget_delivered(session, DELIVERED_DAYS)
        await forget_old_answers(session)
        keep = await read_retention(
            session,
            Promised(
                recordings_days=usual.recordings_days,
                transcripts_days=usual.transcripts_days,
                calls_days=usual.calls_days,
            ),
        )
    try:
        await _delete_left(tools, keep)
    except OSError as error:
        _log.error(
            "files that killed processes left cannot be deleted; check the rights of the data directory",
            reason=error.strerror,
        )
    await apply(tools.database, tools.places, keep)


async def _delete_left(tools: Tools, keep: Retention) -> None:
    """Copies of recordings, recordings of no call, damaged files of spools."""
    await asyncio.to_thread(delete_left, tools.places.folder)
    await delete_strays(tools.places.folder, partial(is_known, tools.database))
    days = min(keep.transcripts.least or DAMAGED_DAYS, keep.calls.least or DAMAGED_DAYS, DAMAGED_DAYS)
    before = datetime.now(UTC) - timedelta(days=days)
    await asyncio.to_thread(delete_damaged, tools.settings.data_dir / SPOOL, before)
