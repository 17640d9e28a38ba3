"""Calls of processes that are gone: closed by those that live, and never those of the living.

Where time is made short, a heartbeat is too old after a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls import presence as module
from app.calls.presence import Presence
from app.calls.recorder import Recorder
from app.calls.repository import beat
from app.calls.service import close_abandoned
from app.db.session import Database, is_away
from tests.app.calls.conftest import Store, running
from tests.app.calls.events import ended, started, turn
from tests.app.calls.spool.outages import Relay


@pytest.fixture
async def relay(database: Database, tmp_path: Path) -> AsyncIterator[Relay]:
    relay = Relay(tmp_path, database)
    await relay.up()
    yield relay
    await relay.down()


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


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    monkeypatch.setattr(module, "ABANDONED_SECONDS", 1.0)
    monkeypatch.setattr(module, "GAP_SECONDS", 0.3)


@asynccontextmanager
async def beating(presence: Presence) -> AsyncIterator[None]:
    task = asyncio.create_task(presence.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until_closed(database: Database) -> None:
    async with asyncio.timeout(10):
        while await endings(database) != [("us", "server_error")]:
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("short")
async def test_the_calls_of_a_killed_process_end_when_it_was_last_heard_of(
    database: Database, presence: Presence, store: Store
) -> None:
    begun = datetime.now(UTC) - timedelta(seconds=100)
    call = started(at=begun)
    await store(call, turn(call.call_id))
    await silence(database, presence.id, 40)

    assert await module.close_without_beating(database) == 1

    assert await endings(database) == [("us", "server_error")]
    async with database.transaction() as session:
        duration = await session.scalar(text("SELECT duration_seconds FROM calls"))
    assert duration == pytest.approx(60, abs=5)


async def test_calls_of_a_living_process_stay_open(
    database: Database, presence: Presence, store: Store
) -> None:
    await store(started())
    await silence(database, presence.id, 10)
    assert await module.close_without_beating(database) == 0
    assert await endings(database) == [(None, None)]


async def test_a_start_just_after_an_outage_calls_nobody_gone(
    database: Database, presence: Presence, store: Store
) -> None:
    await store(started())
    await silence(database, presence.id, 60)
    other = Presence(database)
    await other.start()
    await other.stop()
    assert await endings(database) == [(None, None)]


@pytest.mark.usefixtures("short")
async def test_a_look_just_after_an_outage_waits_for_those_who_live(
    database: Database, presence: Presence, store: Store
) -> None:
    """The worker's: it has no heartbeat of its own, and may be the first that reaches the database."""
    await store(started())
    await silence(database, presence.id, 60)
    looking = asyncio.create_task(module.close_without_beating(database))
    await asyncio.sleep(0.2)
    async with beating(presence):
        assert await looking == 0
    assert await endings(database) == [(None, None)]


@pytest.mark.usefixtures("short")
async def test_a_look_during_which_the_database_goes_away_says_nothing(
    database: Database, presence: Presence, store: Store, relay: Relay
) -> None:
    await store(started())
    await silence(database, presence.id, 60)
    through = Database(relay.url)
    looking = asyncio.create_task(module.close_without_beating(through))
    await asyncio.sleep(0.2)
    await relay.down()
    with pytest.raises((OSError, DBAPIError)) as raised:
        await looking
    assert is_away(raised.value)
    await through.close()
    assert await endings(database) == [(None, None)]


@pytest.mark.usefixtures("short")
async def test_a_living_process_that_was_cut_off_too_calls_nobody_gone(
    database: Database, presence: Presence, store: Store, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off without an error: everything hangs, longer than a heartbeat may be old."""
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.1)
    await store(started())
    through = Database(relay.url)
    other = Presence(through)
    await other.start()
    async with beating(other):
        await asyncio.sleep(1.5)
        relay.hang()
        await asyncio.sleep(0.5)
        await silence(database, presence.id, 60)
        relay.flow()
        await asyncio.sleep(0.3)
        assert await endings(database) == [(None, None)]
        await until_closed(database)
    await through.close()


async def test_a_heartbeat_that_hangs_is_followed_by_another(
    database: Database, presence: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection of which a firewall forgot would hang for longer than a heartbeat may be old."""
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.1)
    beats = 0

    async def hang_once(session: AsyncSession, *who: Any) -> None:
        nonlocal beats
        beats += 1
        if beats == 1:
            await session.execute(text("SELECT pg_sleep(30)"))
        await beat(session, *who)

    monkeypatch.setattr(module, "beat", hang_once)
    async with beating(presence), asyncio.timeout(5):
        while beats < 4:
            await asyncio.sleep(0.02)


def test_the_database_is_within_reach_for_as_long_as_it_answers_without_a_gap() -> None:
    """By its clock: a process that was stopped for a minute thinks that no time has passed."""
    reach = module.Reach()
    at = datetime(2026, 3, 1, tzinfo=UTC)
    assert reach.answered(at) == 0
    for _ in range(10):
        at += timedelta(seconds=3)
        steady = reach.answered(at)
    assert steady == 30
    assert reach.answered(at + timedelta(seconds=6.5)) == 0
    assert reach.answered(at + timedelta(seconds=9)) == 2.5


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


@pytest.mark.usefixtures("short")
async def test_a_running_process_beats_and_closes_what_others_left(
    database: Database, presence: Presence, store: Store
) -> None:
    await store(started())
    await silence(database, presence.id, 60)
    other = Presence(database)
    async with database.transaction() as session:
        await session.execute(
            text("INSERT INTO instances (id, host, pid, heartbeat_at) VALUES (:id, '', 1, '2000-01-01Z')"),
            {"id": other.id},
        )
    async with beating(other):
        await until_closed(database)
    async with database.transaction() as session:
        beaten = await session.scalar(
            text("SELECT heartbeat_at > now() - interval '5 s' FROM instances WHERE id = :id"),
            {"id": other.id},
        )
    assert beaten is True


async def test_a_process_outlives_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)
    away = Presence(Database("postgresql://nobody@127.0.0.1:1/none"))
    async with beating(away):
        await asyncio.sleep(0.1)
    await away.stop()
