"""Calls of which there is something everywhere, and what is left of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from app.calls.erasing.tables import TABLES
from app.calls.presence import Presence
from app.calls.writing.rows import Entry, write_entries
from app.db.partitions import make_partitions
from app.db.session import Database
from app.recordings.keys import key_of
from app.recordings.stores import LocalFolder, StoreError
from app.voice.events import CallRecord, RecordingFinished
from tests.app.calls.events import ended, noted, started, turn

CALLER, OTHER = "+4915112345678", "+4915187654321"
NOW = datetime.now(UTC).replace(microsecond=0)


class Away(LocalFolder):
    """A store that is not the folder of recordings. Of ``refused`` keys it deletes nothing."""

    name = "s3"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.refused: set[str] = set()

    async def delete(self, key: str) -> None:
        if key in self.refused:
            raise StoreError("the bucket cannot be used")
        await super().delete(key)


async def make_call(
    database: Database,
    folder: Path,
    number: str = CALLER,
    *,
    at: datetime = NOW,
    agent: str = "parcel",
    live: bool = False,
) -> UUID:
    """A call of which there is something in every table, and a recording in a folder."""
    presence = Presence(database)
    await presence.start()
    begun = replace(started(at=at, agent=agent), from_number=number)
    call_id = begun.call_id
    key = key_of(call_id, at)
    events: list[CallRecord] = [
        begun,
        turn(call_id, at=at, text=f"my number is {number}"),
        noted(call_id, "backchannel", at=at),
        RecordingFinished(call_id, at, key, "flac", 2, 8000, 30.0, (), "kept"),
    ]
    if not live:
        events.append(ended(call_id, at=at + timedelta(seconds=30)))
    file = folder / key
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


async def end_call(database: Database, call_id: UUID) -> None:
    async with database.transaction() as session:
        await write_entries(session, [Entry(9, ended(call_id, at=NOW + timedelta(seconds=5)))], uuid4())


async def add_turn(database: Database, call_id: UUID, at: datetime) -> None:
    async with database.transaction() as session:
        await write_entries(session, [Entry(5, turn(call_id, 7, at=at))], uuid4())


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


async def is_gone(database: Database, call_id: UUID) -> bool:
    """Whether no table has anything of a call."""
    return set((await counts(database, call_id)).values()) == {0}


def files(folder: Path) -> list[str]:
    """The recordings in a folder."""
    return sorted(file.stem for file in folder.rglob("*.flac"))


async def scalar(database: Database, statement: str) -> Any:
    async with database.transaction() as session:
        return await session.scalar(text(statement))


async def execute(database: Database, statement: str, **values: object) -> None:
    async with database.transaction() as session:
        await session.execute(text(statement), values)


async def partitions_from(database: Database, begin: datetime) -> None:
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
