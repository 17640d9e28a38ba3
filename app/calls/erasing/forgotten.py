"""The first half of deleting calls: nobody else works on them, and nothing is left of their sound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from app.calls.erasing.tables import Found, sounds_of
from app.db.session import Database
from app.outbox.repository import alone_with_each
from app.recordings.forgetting import Sound, forget
from app.recordings.ports import Places
from app.recordings.stores import StoreError

AT_ONCE = 16
"""Calls whose sound is deleted at the same time: a bucket takes 20 ms or more for each."""

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def forgotten(database: Database, places: Places, calls: Sequence[Found]) -> AsyncIterator[list[Found]]:
    """Calls whose sound is deleted; their rows are to be within the block, in which nobody works on them.

    Left out are those that a worker is busy with, and those whose sound cannot be deleted, which is logged.
    """
    async with alone_with_each(database.engine, [call.id for call in calls]) as alone:
        ours = [call for call in calls if call.id in alone]
        async with database.transaction() as session:
            sounds = await sounds_of(session, ours)
        gate = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            done = [tasks.create_task(_forget(sound, places, gate)) for sound in sounds]
        gone = {task.result() for task in done}
        yield [call for call in ours if call.id in gone]


async def _forget(sound: Sound, places: Places, gate: asyncio.Semaphore) -> object:
    """The call's id, or ``None`` where something stays."""
    async with gate:
        try:
            await forget(sound, places)
        except StoreError as error:
            _log.error(
                "the sound of a call cannot be deleted, so the call stays; it is tried again",
                call_id=str(sound.call_id),
                reason=str(error),
            )
            return None
        return sound.call_id
