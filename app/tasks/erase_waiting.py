"""Erase calls that had not ended when their caller was erased."""

from __future__ import annotations

import structlog

from app.calls.erasing import caller
from app.recordings.stores import StoreError
from app.tasks.celery import celery
from app.tasks.runtime import run_task
from app.tasks.tools import Tools

_log = structlog.get_logger(__name__)


@celery.task(name="erase_waiting")  # type: ignore[untyped-decorator]
def erase_waiting() -> int:
    """Erase them; returns how many."""
    return run_task(_erase) or 0


async def _erase(tools: Tools) -> int:
    try:
        return await caller.erase_waiting(tools.database, tools.places.store)
    except StoreError as error:
        _log.error("a recording that is to be erased cannot be deleted; it is tried again", reason=str(error))
        return 0
