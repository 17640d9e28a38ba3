"""Calls of processes that are gone: closed by those that live, and never those of the living."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from app.calls import presence as module
from app.calls.presence import Presence
from app.calls.recorder import Recorder
from app.calls.service import close_abandoned
from app.db.session import Database
from tests.app.calls.conftest import Store, running
from tests.app.calls.events import ended, started, turn


async def silence(database: Database, instance: UUID, seconds: float) -> None:
    """Make an instance look as if it was killed so long ago."""
    async with database.transaction() as session:
        await session.execute(
            text("UPDATE instances SET heartbeat_at = now() - make_interval(secs => :s) WHERE id = :id"),
            {"s": seconds, "id": instance},
        )


async def endings(database: Database) -> list[tuple[str | None, str | None]]:
    async with database.transaction() as session:
        rows = await session.execute(text("SELECT outcome, cause FROM calls ORDER BY started_at"))
        return [(row.outcome, row.cause) for row in rows]


async def test_the_next_start_closes_the_calls_of_a_killed_process(
    database: Database, presence: Presence, store: Store
) -> None:
    begun = datetime.now(UTC) - timedelta(seconds=100)
    call = started(at=begun)
    await store(call, turn(call.call_id))
    await silence(database, presence.id, 40)

    await Presence(database).start()

    assert await endings(database) == [("us", "server_error")]
    async with database.transaction() as session:
        duration = await session.scalar(text("SELECT duration_seconds FROM calls"))
    assert duration == pytest.approx(60, abs=5)


async def test_calls_of_a_living_process_stay_open(
    database: Database, presence: Presence, store: Store
) -> None:
    await store(started())
    await silence(database, presence.id, 10)
    await Presence(database).start()
    assert await endings(database) == [(None, None)]


async def test_a_process_that_stops_in_order_leaves_no_open_call(
    database: Database, presence: Presence, store: Store
) -> None:
    other = Presence(database)
    await other.start()
    async with running(Recorder(database, other.id)) as others:
        others.record(started())
        await others.flush(5)
    finished, left = started(), started()
    await store(finished, left, ended(finished.call_id))

    await presence.stop()

    found = await endings(database)
    assert sorted(found, key=str) == [("caller", "caller"), ("us", "server_error"), (None, None)]


async def test_a_call_closed_by_mistake_gets_its_true_end(
    database: Database, presence: Presence, store: Store
) -> None:
    call = started()
    await store(call)
    await silence(database, presence.id, 60)
    async with database.transaction() as session:
        assert await close_abandoned(session) == 1
        assert await close_abandoned(session) == 0
    await store(ended(call.call_id))
    assert await endings(database) == [("caller", "caller")]


async def test_a_running_process_beats_and_closes_what_others_left(
    database: Database, presence: Presence, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    monkeypatch.setattr(module, "ABANDONED_SECONDS", 0.05)
    await store(started())
    await silence(database, presence.id, 60)
    other = Presence(database)
    async with database.transaction() as session:
        await session.execute(
            text("INSERT INTO instances (id, host, pid, heartbeat_at) VALUES (:id, '', 1, '2000-01-01Z')"),
            {"id": other.id},
        )
    task = asyncio.create_task(other.run())
    async with asyncio.timeout(5):
        while await endings(database) != [("us", "server_error")]:
            await asyncio.sleep(0.02)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    async with database.transaction() as session:
        beaten = await session.scalar(
            text("SELECT heartbeat_at > now() - interval '5 s' FROM instances WHERE id = :id"),
            {"id": other.id},
        )
    assert beaten is True


async def test_a_process_outlives_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)
    away = Presence(Database("postgresql://nobody@127.0.0.1:1/none"))
    task = asyncio.create_task(away.run())
    await asyncio.sleep(0.1)
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await away.stop()
