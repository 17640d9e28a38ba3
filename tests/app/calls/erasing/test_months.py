"""Months that are over for everybody go whole, and wherever that is interrupted it is gone on with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from app.calls.erasing import months
from app.calls.erasing.days import Days, Retention
from app.calls.erasing.months import PARTITIONED, drop_months
from app.calls.erasing.retention import apply_retention
from app.db.session import Database
from app.recordings.keys import key_of
from app.recordings.ports import Places
from tests.app.calls.erasing.made import (
    NOW,
    OTHER,
    Away,
    add_turn,
    counts,
    execute,
    files,
    is_gone,
    make_call,
    partitions_from,
    scalar,
)

THIS_MONTH = NOW.replace(day=1, hour=0, minute=0, second=0)
LAST_MONTH = (THIS_MONTH - timedelta(days=1)).replace(day=1)
OLD = LAST_MONTH - timedelta(minutes=5)
DAYS = Days((NOW - LAST_MONTH).days)
PENDING = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending"
TABLES = "SELECT count(*) FROM pg_class WHERE relname ~ '^[a-z_]+_before_[0-9_]+$' AND relkind = 'r'"


@pytest.fixture
async def old(database: Database, places: Places) -> UUID:
    """A call of a month that is over."""
    await partitions_from(database, OLD)
    return await make_call(database, places.folder, at=OLD)


@asynccontextmanager
async def reading(database: Database, table: str) -> AsyncIterator[None]:
    """Somebody reads a table for long, as a backup does."""
    async with database.transaction() as session:
        await session.execute(text(f"SELECT FROM {table} LIMIT 1"))
        yield


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nobody."""
    monkeypatch.setattr(months, "_PATIENCE", "100ms")
    monkeypatch.setattr(months, "_QUEUE", "100ms")


async def test_months_that_are_over_for_everybody_go_whole(
    database: Database, places: Places, old: UUID
) -> None:
    await add_turn(database, old, LAST_MONTH + timedelta(minutes=5))  # the call went on into the next month
    other = await make_call(database, places.folder, at=LAST_MONTH + timedelta(days=2))
    done = await apply_retention(database, places, Retention(calls=DAYS))
    assert done["calls"] == {f"{table}_partitions": 1 for table in PARTITIONED}
    assert await is_gone(database, old)
    assert set((await counts(database, other)).values()) == {1}
    assert files(places.folder) == [str(other)]
    assert await scalar(database, TABLES) == 0
    await make_call(database, places.folder)


async def test_a_reader_of_calls_puts_it_off(
    database: Database, places: Places, old: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        hurry(patched)
        async with reading(database, "calls"):
            done = await drop_months(database, places, DAYS)
            assert "calls_partitions" not in done
            assert await scalar(database, PENDING) == 1
            assert await drop_months(database, places, DAYS) == {}
            await make_call(database, places.folder)
    await drop_months(database, places, DAYS)
    assert await scalar(database, PENDING) == await scalar(database, TABLES) == 0
    assert await is_gone(database, old)


async def test_a_reader_of_instances_keeps_no_call_waiting(
    database: Database, places: Places, old: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(months, "_QUEUE", "100ms")
        async with reading(database, "instances"), asyncio.timeout(15):
            await drop_months(database, places, DAYS)
            assert await scalar(database, TABLES) == 1  # with its foreign key
            await make_call(database, places.folder)
    await drop_months(database, places, DAYS)
    assert await scalar(database, TABLES) == 0


@pytest.mark.parametrize("killed", ["_detach", "_drop_detached"])
@pytest.mark.parametrize("after", range(6))
async def test_killed_anywhere_it_is_gone_on_with(
    database: Database, places: Places, old: UUID, monkeypatch: pytest.MonkeyPatch, killed: str, after: int
) -> None:
    whole, begun = getattr(months, killed), [0]

    async def dies(*arguments: object) -> None:
        if begun[0] == after:
            raise RuntimeError("killed")
        begun[0] += 1
        await whole(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(months, killed, dies)
        with pytest.raises(RuntimeError, match="killed"):
            await drop_months(database, places, DAYS)
    assert await scalar(database, TABLES) > 0
    await drop_months(database, places, DAYS)
    assert await scalar(database, TABLES) == 0
    assert await is_gone(database, old)


async def test_what_an_operator_detached_is_not_dropped(
    database: Database, places: Places, old: UUID
) -> None:
    name = await scalar(database, "SELECT relname FROM pg_class WHERE relname LIKE 'legs_before_%'")
    async with database.unhurried() as connection:
        await connection.execute(text(f"ALTER TABLE legs DETACH PARTITION {name} CONCURRENTLY"))
    await drop_months(database, places, DAYS)
    assert await scalar(database, f"SELECT count(*) FROM {name}") == 1


async def test_what_cannot_be_dropped_goes_call_by_call(
    database: Database, places: Places, old: UUID
) -> None:
    await execute(
        database, "CREATE TABLE legs_rest PARTITION OF legs DEFAULT"
    )  # nothing is detached beside it
    await apply_retention(database, places, Retention(calls=DAYS))
    assert await is_gone(database, old)
    assert await scalar(database, TABLES) > 0
    await execute(database, "DROP TABLE legs_rest")
    await drop_months(database, places, DAYS)
    assert await scalar(database, TABLES) == 0


async def test_a_month_stays_while_the_sound_of_a_call_does(
    database: Database, places: Places, away: Away, old: UUID
) -> None:
    places = replace(places, store=away)
    other = await make_call(database, places.folder, OTHER, at=OLD)
    away.refused = {key_of(old, OLD)}
    done = await apply_retention(database, places, Retention(calls=DAYS))
    assert "calls_partitions" not in done["calls"]
    assert (await counts(database, old))["turns"] == 1
    assert await is_gone(database, other)  # alone
    away.refused = set()
    await apply_retention(database, places, Retention(calls=DAYS))
    assert await scalar(database, TABLES) == 0


@pytest.mark.parametrize("days", [0, 3650])
async def test_a_month_stays_that_holds_what_an_agent_keeps(
    database: Database, places: Places, old: UUID, days: int
) -> None:
    kept = await make_call(database, places.folder, at=OLD, agent="bank")
    await apply_retention(database, places, Retention(calls=Days(DAYS.usual, {"bank": days})))
    assert await is_gone(database, old)
    assert set((await counts(database, kept)).values()) == {1}
    elsewhere = {"bank": DAYS.usual, "nobody": days}
    await apply_retention(database, places, Retention(calls=Days(DAYS.usual, elsewhere)))
    assert await scalar(database, TABLES) == 0


async def test_a_month_with_a_call_that_goes_on_stays(database: Database, places: Places, old: UUID) -> None:
    live = await make_call(database, places.folder, at=OLD, live=True)
    await apply_retention(database, places, Retention(calls=DAYS))
    assert (await counts(database, live))["turns"] == 1


async def test_many_calls_of_a_month_go_a_batch_at_a_time(
    database: Database, places: Places, old: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(months, "BATCH", 2)
    at: datetime = OLD
    for _ in range(4):
        await make_call(database, places.folder, at=at)
    await drop_months(database, places, DAYS)
    assert files(places.folder) == []
    assert await scalar(database, "SELECT count(*) FROM recordings") == 0
