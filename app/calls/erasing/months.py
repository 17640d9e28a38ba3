"""Months of calls of which nothing may stay for anybody, dropped as whole partitions.

What such calls have outside their partitions goes first, a batch at a time. A partition is then marked by a
comment, detached beside running calls, and dropped. Where that is interrupted the catalogue says how far it
got, and the next time it is gone on with. Nobody waits behind it for longer than ``_QUEUE``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.calls.erasing.days import Days
from app.calls.erasing.forgotten import forgotten
from app.calls.erasing.tables import BATCH, Found
from app.db.partitions import Partition, partitions_of
from app.db.session import Database, describe, sqlstate
from app.recordings.ports import Places

BY_START = ("call_steps", "call_texts", "legs")
BY_TIME = ("call_events", "turns")
PARTITIONED = (*BY_START, *BY_TIME, "calls")
"""Calls last: while they are there the others are found by them."""

MARK = "trunkline: to be dropped"
"""The comment on a table of which nothing is needed any more."""

_LOCK_KEY = 0x7472756E64  # of the advisory lock that whoever drops months holds
_QUEUE = "2s"  # that calls may queue behind a lock which is waited for
_PATIENCE = "20s"  # for transactions that look at a partition; nobody queues behind that
_LOCK_NOT_AVAILABLE = "55P03"

_WANTED = """
    SELECT EXISTS (
        SELECT 1 FROM {part} AS calls
        LEFT JOIN unnest(CAST(:agents AS text[]), CAST(:days AS integer[])) AS own(agent, days)
               ON own.agent = calls.agent
        WHERE calls.ended_at IS NULL OR coalesce(own.days, :usual) = 0
           OR calls.started_at >= now() - make_interval(days => coalesce(own.days, :usual))
    )
"""
_MARKED = text(
    """
    SELECT relname FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND NOT relispartition
      AND obj_description(oid, 'pg_class') = :mark
    ORDER BY relname
    """
)
_FOREIGN_KEYS = text(
    "SELECT conname FROM pg_constraint WHERE conrelid = CAST(:part AS regclass) AND contype = 'f'"
)

_log = structlog.get_logger(__name__)


async def drop_months(database: Database, places: Places, days: Days) -> dict[str, int]:
    """Drop the months that are over; returns how many partitions of each table.

    One that holds calls which are to stay, or whose sound cannot be deleted, stays. So do all where somebody
    reads for long, such as a backup, or where it fails, which is logged; it is tried again the next time.
    """
    dropped: list[str] = []
    async with database.unhurried() as connection:
        if not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK_KEY}):
            return {}
        try:
            await _wait(connection, _PATIENCE)
            await _go_on(connection)
            if days.usual:
                await _drop_over(database, places, connection, days, dropped)
        except DBAPIError as error:
            if sqlstate(error) == _LOCK_NOT_AVAILABLE:
                _log.warning("old months are not dropped yet: their tables are in use", **describe(error))
            else:
                _log.error("old months cannot be dropped; their calls go one by one", **describe(error))
    return {f"{table}_partitions": dropped.count(table) for table in PARTITIONED if table in dropped}


async def _go_on(connection: AsyncConnection) -> None:
    """Finish what was interrupted: detach what is leaving, and drop what is detached and marked."""
    for parts in (await partitions_of(connection)).values():
        for part in parts:
            if part.leaving:
                await _detach(connection, part, "FINALIZE")
    for name in list(await connection.scalars(_MARKED, {"mark": MARK})):
        await _drop_detached(connection, name)


async def _drop_over(
    database: Database, places: Places, connection: AsyncConnection, days: Days, dropped: list[str]
) -> None:
    """Drop what ended that long ago; ``dropped`` gets the table of each."""
    found = await partitions_of(connection)
    over = datetime.now(UTC) - timedelta(days=days.usual)
    for month in found["calls"]:
        if month.ends > over or await _is_wanted(connection, month, days):
            continue
        same = [part for table in PARTITIONED for part in found[table] if part.ends == month.ends]
        if not await _forget_beside(database, places, month, {part.table for part in same}):
            continue
        for part in same:
            await connection.execute(text(f"COMMENT ON TABLE {part.name} IS '{MARK}'"))
            await _detach(connection, part, "CONCURRENTLY")
            await _drop_detached(connection, part.name)
            dropped.append(part.table)


async def _is_wanted(connection: AsyncConnection, month: Partition, days: Days) -> bool:
    """Whether a call of the month is to stay, or has not ended."""
    own = {"agents": list(days.agents), "days": list(days.agents.values()), "usual": days.usual}
    return bool(await connection.scalar(text(_WANTED.format(part=month.name)), own))


async def _detach(connection: AsyncConnection, part: Partition, how: str) -> None:
    await _wait(connection, _PATIENCE)
    await connection.execute(text(f"ALTER TABLE {part.table} DETACH PARTITION {part.name} {how}"))


async def _drop_detached(connection: AsyncConnection, name: str) -> None:
    """Drop a table, and before it its foreign key: that locks the processes' heartbeats out."""
    await _wait(connection, _QUEUE)
    for key in list(await connection.scalars(_FOREIGN_KEYS, {"part": name})):
        await connection.execute(text(f"ALTER TABLE {name} DROP CONSTRAINT {key}"))
    await connection.execute(text(f"DROP TABLE {name}"))


async def _wait(connection: AsyncConnection, most: str) -> None:
    """For how long a statement waits for a lock."""
    await connection.execute(text(f"SET lock_timeout = '{most}'"))


async def _forget_beside(database: Database, places: Places, month: Partition, tables: set[str]) -> bool:
    """Delete what a month's calls have outside the partitions of ``tables``; whether that was all of it."""
    page = text(
        f"SELECT id, started_at FROM {month.name} "  # noqa: S608 - a name of our own
        "WHERE (started_at, id) > (:at, :id) ORDER BY started_at, id LIMIT :most"
    )
    last, whole = Found(UUID(int=0), datetime(1970, 1, 1, tzinfo=UTC)), True
    while True:
        async with database.transaction() as session:
            rows = await session.execute(page, {"at": last.started_at, "id": last.id, "most": BATCH})
            calls = [Found(row.id, row.started_at) for row in rows]
        if not calls:
            return whole
        async with forgotten(database, places, calls) as gone, database.transaction() as session:
            for statement in _beside(tables):
                await session.execute(statement, {"ends": month.ends, "calls": [call.id for call in gone]})
        whole = whole and len(gone) == len(calls)
        last = calls[-1]


def _beside(tables: set[str]) -> list[TextClause]:
    """Statements that delete what calls have outside the partitions of ``tables`` that end at ``:ends``."""
    conditions = dict.fromkeys(("outbox", "webhook_deliveries", "recordings"), "true")
    conditions |= {table: "started_at < :ends" for table in BY_START if table not in tables}
    for table in BY_TIME:  # a call may go on into the next month
        conditions[table] = "at >= :ends" if table in tables else "true"
    return [
        text(f"DELETE FROM {table} WHERE call_id = ANY(CAST(:calls AS uuid[])) AND {condition}")  # noqa: S608
        for table, condition in conditions.items()
    ]
