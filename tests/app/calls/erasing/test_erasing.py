"""Erasing a caller, and deleting what was kept long enough: nothing of it is left anywhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.api import ApiParts
from app.audit.service import OURSELVES
from app.auth.service import Role
from app.calls.erasing.caller import OwnNumber, erase_caller, erase_waiting, hashed
from app.calls.erasing.retention import Days, Retention, apply_retention
from app.calls.erasing.tables import TABLES
from app.calls.presence import Presence
from app.calls.writing.rows import Entry, write_entries
from app.db.partitions import make_partitions
from app.db.session import Database
from app.outbox.repository import alone_with
from app.recordings.stores import LocalFolder
from app.voice.events import CallRecord, RecordingFinished
from tests.app.api_client import api_client
from tests.app.calls.events import ended, noted, started, turn

CALLER, OTHER = "+4915112345678", "+4915187654321"
NOW = datetime.now(UTC).replace(microsecond=0)
KEY = b"a key"


@pytest.fixture
def store(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "recordings")


async def make_call(
    database: Database,
    tmp_path: Path,
    number: str,
    *,
    at: datetime = NOW,
    agent: str = "parcel",
    live: bool = False,
) -> UUID:
    """A call of which there is something in every table, and a recording."""
    presence = Presence(database)
    await presence.start()
    begun = replace(started(at=at, agent=agent), from_number=number)
    call_id = begun.call_id
    key = f"2026/01/01/{call_id}.flac"
    events: list[CallRecord] = [
        begun,
        turn(call_id, at=at, text=f"my number is {number}"),
        noted(call_id, "backchannel", at=at),
        RecordingFinished(call_id, at, key, "flac", 2, 8000, 30.0, (), "kept"),
    ]
    if not live:
        events.append(ended(call_id, at=at + timedelta(seconds=30)))
    file = tmp_path / "recordings" / key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"sound")
    async with database.transaction() as session:
        await write_entries(session, [Entry(n, event) for n, event in enumerate(events, 1)], presence.id)
        values = {"call": call_id, "at": at, "endpoint": uuid4(), "id": uuid4()}
        for statement in (
            "INSERT INTO call_steps (call_id, step, started_at, state) VALUES (:call, 'notify', :at, 'done')",
            "INSERT INTO call_texts (call_id, started_at, config, document) "
            "VALUES (:call, :at, 'simple', 'x')",
            "INSERT INTO webhook_endpoints (id, url, title, secret, events, enabled) "
            "VALUES (:endpoint, '', '', '', '{}', true)",
            "INSERT INTO webhook_deliveries (id, endpoint_id, call_id, event, body, state) "
            "VALUES (:id, :endpoint, :call, 'call.ended', '{}', 'delivered')",
        ):
            await session.execute(text(statement), values)
    return call_id


async def counts(database: Database, call_id: UUID) -> dict[str, int]:
    """Rows of a call, by table."""
    async with database.transaction() as session:
        found = {
            table: await session.scalar(
                text(f"SELECT count(*) FROM {table} WHERE call_id = :call"), {"call": call_id}
            )
            for table in TABLES
        }
        found["calls"] = await session.scalar(
            text("SELECT count(*) FROM calls WHERE id = :call"), {"call": call_id}
        )
    return {table: int(count or 0) for table, count in found.items()}


def files(tmp_path: Path) -> list[str]:
    return sorted(file.stem for file in (tmp_path / "recordings").rglob("*.flac"))


async def scalar(database: Database, statement: str) -> Any:
    async with database.transaction() as session:
        return await session.scalar(text(statement))


async def test_every_trace_of_a_caller_is_deleted_and_nobody_elses(
    database: Database, store: LocalFolder, tmp_path: Path
) -> None:
    mine = [await make_call(database, tmp_path, CALLER) for _ in range(2)]
    other = await make_call(database, tmp_path, OTHER)
    before = await counts(database, other)
    assert set(before.values()) == {1}
    done = await erase_caller(database, store, CALLER, KEY, OURSELVES)
    for call_id in mine:
        assert set((await counts(database, call_id)).values()) == {0}
    assert await counts(database, other) == before
    assert files(tmp_path) == [str(other)]
    assert (done.rows["calls"], done.rows["turns"], done.files, done.waiting) == (2, 2, 2, 0)
    entry = await scalar(
        database, "SELECT row_to_json(audit_log)::text FROM audit_log WHERE action = 'erase'"
    )
    assert hashed(CALLER, KEY) in entry
    assert CALLER not in entry
    again = await erase_caller(database, store, CALLER, KEY, OURSELVES)
    assert (again.rows.get("calls", 0), again.hash) == (0, done.hash)


async def test_a_running_call_is_erased_once_it_is_over(
    database: Database, store: LocalFolder, tmp_path: Path
) -> None:
    call_id = await make_call(database, tmp_path, CALLER, live=True)
    done = await erase_caller(database, store, CALLER, KEY, OURSELVES)
    assert (done.rows.get("calls", 0), done.waiting) == (0, 1)
    assert await erase_waiting(database, store) == 0
    async with database.transaction() as session:
        await write_entries(session, [Entry(9, ended(call_id, at=NOW + timedelta(seconds=5)))], uuid4())
    async with alone_with(database.engine, call_id):
        assert await erase_waiting(database, store) == 0  # a worker is at it
    assert await erase_waiting(database, store) == 1
    assert set((await counts(database, call_id)).values()) == {0}
    assert files(tmp_path) == []
    assert await erase_waiting(database, store) == 0


async def test_our_own_number_is_nobodys_to_erase(
    database: Database, store: LocalFolder, tmp_path: Path
) -> None:
    async with database.transaction() as session:
        await session.execute(text("INSERT INTO agents (name, active_version) VALUES ('parcel', 1)"))
        await session.execute(
            text("INSERT INTO numbers (number, agent, title) VALUES (:number, 'parcel', '')"),
            {"number": CALLER},
        )
    with pytest.raises(OwnNumber):
        await erase_caller(database, store, CALLER, KEY, OURSELVES)


async def test_an_administrator_erases_over_http(
    database: Database, store: LocalFolder, tmp_path: Path
) -> None:
    call_id = await make_call(database, tmp_path, CALLER)
    parts = ApiParts(recordings=store, erasure_key=KEY)
    async with api_client(database, Role.OPERATOR, parts) as api:
        assert (await api.post("/erasures", json={"caller": CALLER})).status_code == 403
    async with api_client(database, Role.ADMIN, parts) as api:
        assert (await api.post("/erasures", json={"caller": "12345"})).status_code == 422
        done = await api.post("/erasures", json={"caller": CALLER})
    assert done.status_code == 200
    assert done.json()["rows"]["calls"] == 1
    assert set((await counts(database, call_id)).values()) == {0}


async def test_recordings_words_and_calls_go_when_their_time_is_over(
    database: Database, store: LocalFolder, tmp_path: Path
) -> None:
    old = NOW - timedelta(days=40)
    await _partitions_from(database, old)
    first = await make_call(database, tmp_path, CALLER, at=old)
    new = await make_call(database, tmp_path, CALLER)
    kept = Retention(recordings=Days(30))
    await apply_retention(database, store, kept)
    assert files(tmp_path) == [str(new)]
    assert (await counts(database, first))["turns"] == 1

    await apply_retention(database, store, Retention(transcripts=Days(30)))
    left = await counts(database, first)
    assert {table for table, count in left.items() if count} == {"calls", "turns", "legs"}
    words = await scalar(database, f"SELECT caller_text || heard_text FROM turns WHERE call_id = '{first}'")
    assert words == ""

    await apply_retention(database, store, Retention(calls=Days(30, {"parcel": 60})))
    assert (await counts(database, first))["calls"] == 1  # its agent keeps them longer
    await apply_retention(database, store, Retention(calls=Days(30, {"other": 0})))
    assert set((await counts(database, first)).values()) == {0}
    assert set((await counts(database, new)).values()) == {1}


async def test_months_that_are_over_for_everybody_go_whole(
    database: Database, store: LocalFolder, tmp_path: Path
) -> None:
    this_month = NOW.replace(day=1, hour=0, minute=0, second=0)
    last_month = (this_month - timedelta(days=1)).replace(day=1)
    old = last_month - timedelta(minutes=5)
    await _partitions_from(database, old)
    first = await make_call(database, tmp_path, CALLER, at=old)
    await _add_turn(
        database, first, last_month + timedelta(minutes=5)
    )  # the call went on into the next month
    other = await make_call(database, tmp_path, CALLER, at=last_month + timedelta(days=2))
    done = await apply_retention(database, store, Retention(calls=Days((NOW - last_month).days)))
    assert done["calls"]["calls_partitions"] == done["calls"]["turns_partitions"] == 1
    assert set((await counts(database, first)).values()) == {0}
    assert set((await counts(database, other)).values()) == {1}
    assert files(tmp_path) == [str(other)]
    left = await scalar(database, "SELECT count(*) FROM pg_class WHERE relname LIKE 'turns_before_%'")
    assert left == 0
    await make_call(database, tmp_path, CALLER)


async def _add_turn(database: Database, call_id: UUID, at: datetime) -> None:
    async with database.transaction() as session:
        await write_entries(session, [Entry(5, turn(call_id, 7, at=at))], uuid4())


async def _partitions_from(database: Database, begin: datetime) -> None:
    """The partitions of an installation that was new then: the first one ends with that month."""
    async with database.transaction() as session:
        for table in ("call_steps", "call_texts", "call_events", "turns", "legs", "calls"):
            parts = text(
                "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:table)"
            )
            for part in list(await session.scalars(parts, {"table": table})):
                await session.execute(text(f"DROP TABLE {part}"))
            ends = (begin.replace(day=1, hour=0, minute=0, second=0) + timedelta(days=32)).replace(day=1)
            await session.execute(
                text(
                    f"CREATE TABLE {table}_before_{ends:%Y_%m} PARTITION OF {table} "
                    f"FOR VALUES FROM (MINVALUE) TO ('{ends.isoformat()}')"
                )
            )
        await make_partitions(session)
