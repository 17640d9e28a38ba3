"""A recorder at work on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from app.calls.presence import Presence
from app.calls.recorder import Recorder
from app.db.session import Database


@asynccontextmanager
async def running(recorder: Recorder) -> AsyncIterator[Recorder]:
    """The recorder with its task, until the block ends."""
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def presence(database: Database) -> Presence:
    presence = Presence(database)
    await presence.start()
    return presence


@pytest.fixture
async def recorder(database: Database, presence: Presence) -> AsyncIterator[Recorder]:
    async with running(Recorder(database, presence.id)) as recorder:
        yield recorder


Store = Callable[..., Awaitable[None]]


@pytest.fixture
def store(recorder: Recorder) -> Store:
    """Record events and wait until they are stored."""

    async def store(*events: object) -> None:
        for event in events:
            recorder.record(event)  # type: ignore[arg-type]
        assert await recorder.flush(5) == 0

    return store
