"""Partitions by month: made from tables that hold calls, and made ahead."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.migrate import downgrade, upgrade
from app.db.partitions import make_partitions
from app.db.session import Database

PARTITIONED = {"call_events", "call_steps", "call_texts", "calls", "legs", "turns"}

_PARTS = """
    SELECT inhrelid::regclass::text AS part, inhparent::regclass::text AS parent,
           pg_get_expr(relpartbound, oid) AS bound
    FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE relkind = 'r' ORDER BY part
"""


async def _parts(database: Database) -> dict[str, tuple[str, str]]:
    async with database.transaction() as session:
        return {row.part: (row.parent, row.bound) for row in await session.execute(text(_PARTS))}


async def test_months_ahead_are_made_once_without_gaps(database: Database) -> None:
    async def make() -> list[str]:
        async with database.transaction() as session:
            return await make_partitions(session)

    made = [name for names in await asyncio.gather(*(make() for _ in range(4))) for name in names]
    assert len(made) == len(set(made))
    parts = await _parts(database)
    assert {parent for parent, _ in parts.values()} == PARTITIONED
    this_month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for table in PARTITIONED:
        bounds = sorted(bound for parent, bound in parts.values() if parent == table)
        first = next(bound for bound in bounds if "MINVALUE" in bound)
        rest = [bound for bound in bounds if bound != first]
        ends = first.split("TO ")[1]
        for bound in rest:
            assert bound.split("FROM ")[1].split(" TO")[0] == ends
            ends = bound.split("TO ")[1]
        last = datetime.fromisoformat(ends.strip("()'"))
        assert last >= this_month + timedelta(days=31 * 3)
    assert await make() == []


async def test_a_year_ahead_and_a_call_in_it(database: Database) -> None:
    async with database.transaction() as session:
        await make_partitions(session, months_ahead=14)
        await session.execute(
            text("INSERT INTO instances (id, host, pid) VALUES (gen_random_uuid(), 'test', 1)")
        )
        await _add_call(session, uuid4(), datetime.now(UTC) + timedelta(days=420))


async def test_a_database_full_of_calls_keeps_them_all_there_and_back(database: Database) -> None:
    await downgrade(database, "0003")
    calls = [uuid4() for _ in range(5)]
    async with database.transaction() as session:
        await session.execute(
            text("INSERT INTO instances (id, host, pid) VALUES (gen_random_uuid(), 'test', 1)")
        )
        for number, call_id in enumerate(calls):
            await _add_call(session, call_id, datetime(2024, 1 + number, 1, tzinfo=UTC))

    async def rows() -> list[tuple[object, ...]]:
        async with database.transaction() as session:
            query = (
                "SELECT id, started_at, index, caller_text, name FROM calls JOIN turns ON turns.call_id = id "
            )
            query += "JOIN call_events ON call_events.call_id = id ORDER BY started_at"
            return [tuple(row) for row in await session.execute(text(query))]

    before = await rows()
    assert len(before) == 5
    await upgrade(database)
    assert await rows() == before
    async with database.transaction() as session:
        legs = await session.scalars(text("SELECT call_id FROM legs ORDER BY started_at"))
        assert list(legs) == calls
        segments = text(
            "SELECT speaker, heard_text FROM transcript_segments WHERE call_id = :call ORDER BY part"
        )
        assert [tuple(row) for row in await session.execute(segments, {"call": calls[0]})] == [
            ("caller", "hello"),
            ("agent", "good morning"),
            ("caller", "mm-hmm"),
        ]
    await downgrade(database, "0003")
    assert await rows() == before
    await upgrade(database)
    assert await rows() == before


async def test_an_interrupted_migration_is_run_again(database: Database) -> None:
    """What a run left that was killed between its steps is found or made anew."""
    await downgrade(database, "0003")
    async with database.transaction() as session:
        await session.execute(text("ALTER TABLE calls ADD COLUMN prompt text"))
        await session.execute(text("CREATE UNIQUE INDEX calls_by_month ON calls (id, started_at)"))
        await session.execute(
            text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'calls_by_month'::regclass")
        )
        await session.execute(text("ALTER TABLE turns ADD CONSTRAINT turns_before CHECK (true)"))
    await upgrade(database)


async def _add_call(session: AsyncSession, call_id: UUID, at: datetime) -> None:
    values = {"call": call_id, "at": at}
    for statement in (
        "INSERT INTO calls (id, instance_id, carrier, carrier_call_id, direction, from_number, to_number, "
        "agent, agent_version, started_at) "
        "SELECT :call, id, 'twilio', 'CA', 'inbound', '', '', 'parcel', 1, :at "
        "FROM instances",
        "INSERT INTO turns (call_id, index, at, caller_text, reply_text, heard_text, interrupted, "
        "backchannels) VALUES (:call, 0, :at, 'hello', 'good morning to you', 'good morning', true, "
        '\'[{"text": "mm-hmm", "started": 1.0, "ended": 1.5}]\')',
        "INSERT INTO call_events (call_id, number, at, name, detail) "
        "VALUES (:call, 1, :at, 'barge_in', '{}')",
    ):
        await session.execute(text(statement), values)
