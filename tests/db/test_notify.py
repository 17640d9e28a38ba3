"""Messages between processes: after commit or not at all, and again after the connection was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy import text

from app.db.notify import MOST_BYTES, Listener, Payload, notify
from app.db.session import Database


class Ear:
    """Keeps what it hears. ``fails``: payloads that it cannot handle."""

    def __init__(self) -> None:
        self.heard: list[Payload] = []
        self.resumed = 0

    async def handle(self, payload: Payload) -> None:
        if payload.get("fails"):
            raise RuntimeError("told to fail")
        self.heard.append(payload)

    async def resume(self) -> None:
        self.resumed += 1

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def running(listener: Listener) -> AsyncIterator[None]:
    task = asyncio.create_task(listener.run())
    await asyncio.wait_for(listener.connected.wait(), 5)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def send(database: Database, topic: str, payload: Payload) -> None:
    async with database.transaction() as session:
        await notify(session, topic, payload)


async def test_a_message_comes_with_its_change_or_not_at_all(database: Database) -> None:
    ear, listener = Ear(), Listener(database)
    listener.subscribe("things", ear.handle, ear.resume)
    async with running(listener):
        with suppress(RuntimeError):
            async with database.transaction() as session:
                await notify(session, "things", {"id": "never"})
                raise RuntimeError
        async with database.transaction() as session:
            await notify(session, "things", {"id": "one"})
            await session.flush()
            await asyncio.sleep(0.05)
            assert ear.heard == []
        await send(database, "others", {"id": "elsewhere"})
        await send(database, "things", {"id": "two"})
        await ear.until(lambda: len(ear.heard) == 2)
    assert ear.heard == [{"id": "one"}, {"id": "two"}]
    assert ear.resumed == 1


async def test_what_one_handler_cannot_do_stops_nothing(database: Database) -> None:
    ear, other, listener = Ear(), Ear(), Listener(database)
    listener.subscribe("things", ear.handle)
    listener.subscribe("others", other.handle)
    async with running(listener):
        await send(database, "things", {"fails": True})
        async with database.transaction() as session:
            await session.execute(text("SELECT pg_notify('trunkline_things', 'no JSON')"))
        await send(database, "things", {"id": "after"})
        await send(database, "others", {"id": "beside"})
        await ear.until(lambda: bool(ear.heard and other.heard))
    assert (ear.heard, other.heard) == ([{"id": "after"}], [{"id": "beside"}])


async def test_a_lost_connection_is_opened_again(database: Database) -> None:
    ear, listener = Ear(), Listener(database)
    listener.subscribe("things", ear.handle, ear.resume)
    async with running(listener):
        async with database.transaction() as session:
            await session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'trunkline-listener' AND datname = current_database()"
                )
            )
        await ear.until(lambda: ear.resumed == 2)
        await send(database, "things", {"id": "after"})
        await ear.until(lambda: bool(ear.heard))
    assert ear.heard == [{"id": "after"}]


async def test_a_message_is_small(database: Database) -> None:
    with pytest.raises(ValueError, match="send an id instead"):
        await send(database, "things", {"text": "x" * MOST_BYTES})
