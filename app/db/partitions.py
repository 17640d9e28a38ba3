"""Partitions by month of the tables that grow with every call, made before they are needed.

Each table's partitions follow one another without a gap, from its first to some months ahead. There is no
partition for the rest: PostgreSQL could then no longer read them in order of time. A row beyond the last one
is refused, so whoever lives makes the next ones every few hours.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.db.session import Database, describe, is_away

MONTHS_AHEAD = 3
KEEP_SECONDS = 6 * 3600.0
LOCK_KEY = 0x7472756E6C  # of the advisory lock under which partitions are made

_log = structlog.get_logger(__name__)

# A partition's bound is text: FOR VALUES FROM ('2026-12-01 00:00:00+00') TO ('2027-01-01 00:00:00+00')
_PARTITIONS = text(
    r"""
    SELECT parent.relname AS parent, part.relname AS part, inhdetachpending AS leaving,
           substring(pg_get_expr(part.relpartbound, part.oid) FROM 'TO \(''(.*)''\)')::timestamptz AS ends
    FROM pg_partitioned_table AS partitioned
    JOIN pg_class AS parent ON parent.oid = partitioned.partrelid
    LEFT JOIN pg_inherits ON inhparent = parent.oid
    LEFT JOIN pg_class AS part ON part.oid = inhrelid
    WHERE parent.relnamespace = current_schema()::regnamespace AND partitioned.partstrat = 'r'
    ORDER BY parent.relname, ends
    """
)


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition, and the time before which all of it lies.

    ``leaving``: its ``DETACH ... CONCURRENTLY`` was interrupted, and nobody sees its rows any more.
    """

    table: str
    name: str
    ends: datetime
    leaving: bool


async def partitions_of(connection: AsyncSession | AsyncConnection) -> dict[str, list[Partition]]:
    """The partitions of every table that is partitioned by time, oldest first."""
    found: dict[str, list[Partition]] = {}
    for row in await connection.execute(_PARTITIONS):
        parts = found.setdefault(row.parent, [])
        if row.ends is not None:  # of a table without any, or of one for the rest
            parts.append(Partition(row.parent, row.part, row.ends, row.leaving))
    return found


async def make_partitions(session: AsyncSession, *, months_ahead: int = MONTHS_AHEAD) -> list[str]:
    """Make what is missing up to ``months_ahead`` months after this one; returns the names.

    Safe in several processes at once, and beside running calls: a new table is attached, which locks no rows.
    """
    until = _months_after(_this_month(), months_ahead + 1)
    if not await _missing(session, until):
        return []
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
    made = []
    for table, begins in await _missing(session, until):
        month = begins
        while month < until:
            made.append(await _make(session, table, month))
            month = _months_after(month, 1)
    return made


async def keep_partitions(database: Database) -> None:
    """Make what is missing, now and then, until cancelled. Goes on while the database is away."""
    while True:
        await asyncio.sleep(KEEP_SECONDS)
        try:
            async with database.transaction() as session:
                await make_partitions(session)
        except Exception as error:
            if not is_away(error):
                raise
            _log.warning("no partitions made: the database is away", **describe(error))


async def _missing(session: AsyncSession, until: datetime) -> list[tuple[str, datetime]]:
    """Tables whose partitions end before ``until``, and where the next one begins."""
    found = (await partitions_of(session)).items()
    ends = [(table, parts[-1].ends if parts else _this_month()) for table, parts in found]
    return [(table, ends_at) for table, ends_at in ends if ends_at < until]


async def _make(session: AsyncSession, table: str, month: datetime) -> str:
    name = f"{table}_{month:%Y_%m}"
    begins, ends = month.isoformat(), _months_after(month, 1).isoformat()
    # CREATE TABLE ... PARTITION OF would lock the whole table; ATTACH lets rows be read and written.
    await session.execute(text(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS)"))
    await session.execute(
        text(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{begins}') TO ('{ends}')")
    )
    return name


def _this_month() -> datetime:
    return datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _months_after(month: datetime, count: int) -> datetime:
    years, index = divmod(month.month - 1 + count, 12)
    return month.replace(year=month.year + years, month=index + 1)
