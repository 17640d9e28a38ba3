"""Deleting what is older than it may become: recordings, what was said, whole calls.

Each agent may have days of its own. Calls of which nothing may stay for anybody go by whole partitions, which
costs no more for a million calls than for one; the others in batches.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.erasing.tables import BATCH, Found, delete_calls, delete_files, delete_words, recorded, summed
from app.db.session import Database
from app.recordings.ports import Store

_log = structlog.get_logger(__name__)

_STEP = timedelta(days=1)  # calls are looked for in the calls of a day at a time

_OLD = """
    SELECT calls.id, calls.started_at FROM calls
    LEFT JOIN unnest(CAST(:agents AS text[]), CAST(:days AS integer[])) AS own(agent, days)
           ON own.agent = calls.agent
    WHERE calls.started_at >= :since AND calls.started_at < :until AND calls.ended_at IS NOT NULL
      AND coalesce(own.days, :usual) > 0
      AND calls.started_at < now() - make_interval(days => coalesce(own.days, :usual))
      AND {having}
    ORDER BY calls.started_at, calls.id LIMIT :most
"""
_ANY = text(_OLD.format(having="true"))
_RECORDED = text(_OLD.format(having="EXISTS (SELECT 1 FROM recordings WHERE recordings.call_id = calls.id)"))
_WORDY = text(
    _OLD.format(
        having="""(
        EXISTS (SELECT 1 FROM turns WHERE turns.call_id = calls.id AND turns.at >= calls.started_at
                AND turns.at < calls.ended_at + interval '2 days'
                AND (caller_text <> '' OR reply_text <> '' OR heard_text <> ''))
        OR EXISTS (SELECT 1 FROM call_steps WHERE call_steps.call_id = calls.id
                   AND call_steps.started_at = calls.started_at)
        OR EXISTS (SELECT 1 FROM recordings WHERE recordings.call_id = calls.id))"""
    )
)
_PARTITIONS = text(
    r"""
    SELECT parent, part, ends FROM (
        SELECT parent.relname AS parent, part.relname AS part,
               substring(pg_get_expr(part.relpartbound, part.oid) FROM 'TO \(''(.*)''\)')::timestamptz AS ends
        FROM pg_inherits
        JOIN pg_class AS parent ON parent.oid = inhparent
        JOIN pg_class AS part ON part.oid = inhrelid
        WHERE parent.relnamespace = current_schema()::regnamespace AND parent.relname = ANY(:parents)
    ) AS parts
    WHERE ends <= :cutoff ORDER BY parent, ends
    """
)
BY_START = ("call_steps", "call_texts", "legs")
BY_TIME = ("call_events", "turns")
_PARTITIONED = (*BY_START, *BY_TIME, "calls")

Remove = Callable[[AsyncSession, Sequence[Found]], Awaitable[dict[str, int]]]


@dataclass(frozen=True, slots=True)
class Days:
    """After how many days; 0: never. ``agents``: those that differ."""

    usual: int = 0
    agents: Mapping[str, int] = field(default_factory=dict)

    @property
    def longest(self) -> int:
        """After so many days nothing stays of anybody's; 0: something stays for ever."""
        every = [self.usual, *self.agents.values()]
        return 0 if 0 in every else max(every)

    @property
    def any(self) -> bool:
        """Whether anything is ever deleted."""
        return any((self.usual, *self.agents.values()))


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept."""

    recordings: Days = Days()
    transcripts: Days = Days()
    calls: Days = Days()


async def apply_retention(database: Database, store: Store, keep: Retention) -> dict[str, dict[str, int]]:
    """Delete what is too old; returns rows of each table, by what was deleted. Safe to be done at any time.

    Raises ``StoreError`` where files cannot be deleted; their rows stay then.
    """
    done: dict[str, dict[str, int]] = {}
    for name, days, query, remove in (
        ("recordings", keep.recordings, _RECORDED, _only_recordings),
        ("transcripts", keep.transcripts, _WORDY, delete_words),
        ("calls", keep.calls, _ANY, delete_calls),
    ):
        if not days.any:
            continue
        counts = []
        if name == "calls" and days.longest:
            counts.append(await _drop_partitions(database, store, days.longest))
        async for calls in _old(database, query, days):
            async with database.transaction() as session:
                keys = await recorded(session, calls)
            await delete_files(store, keys)
            async with database.transaction() as session:
                counts.append(await remove(session, calls))
        done[name] = summed(counts)
        if any(done[name].values()):
            _log.info("deleted what was kept long enough", what=name, **done[name])
    return done


async def _old(database: Database, query: object, days: Days) -> AsyncIterator[list[Found]]:
    """Calls that are too old, a batch at a time, those of a day after those of the day before."""
    async with database.transaction() as session:
        first: datetime | None = await session.scalar(text("SELECT min(started_at) FROM calls"))
    begin, now = first, datetime.now(UTC)
    while begin is not None and begin < now:
        parameters = {
            "agents": list(days.agents),
            "days": list(days.agents.values()),
            "usual": days.usual,
            "since": begin,
            "until": begin + _STEP,
            "most": BATCH,
        }
        async with database.transaction() as session:
            rows = (await session.execute(query, parameters)).all()  # type: ignore[call-overload]
        if rows:
            yield [Found(row.id, row.started_at) for row in rows]
        if len(rows) < BATCH:
            begin += _STEP


async def _only_recordings(session: AsyncSession, calls: Sequence[Found]) -> dict[str, int]:
    rows = await session.execute(
        text("DELETE FROM recordings WHERE call_id = ANY(CAST(:calls AS uuid[])) RETURNING id"),
        {"calls": [call.id for call in calls]},
    )
    return {"recordings": len(rows.all())}


async def _drop_partitions(database: Database, store: Store, days: int) -> dict[str, int]:
    """Drop what ended that long ago, without a lock that calls would wait for."""
    cutoff = datetime.now(UTC) - timedelta(days=days)
    async with database.transaction() as session:
        rows = await session.execute(_PARTITIONS, {"parents": list(_PARTITIONED), "cutoff": cutoff})
        parts = [_Part(row.parent, row.part, row.ends) for row in rows]
    calls = [part for part in parts if part.parent == "calls"]
    ends = {part.ends for part in calls}
    dropped = [part for part in parts if part.ends in ends]
    for part in calls:
        await _forget_elsewhere(database, store, part, dropped)
    for part in sorted(dropped, key=lambda part: part.parent == "calls"):
        # Not in a transaction: the concurrent form waits for nobody and is waited for by nobody.
        async with database.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(
                text(f"ALTER TABLE {part.parent} DETACH PARTITION {part.name} CONCURRENTLY")
            )
            await connection.execute(text(f"DROP TABLE {part.name}"))
    return {
        f"{table}_partitions": count
        for table in _PARTITIONED
        if (count := sum(part.parent == table for part in dropped))
    }


@dataclass(frozen=True, slots=True)
class _Part:
    """A partition, and the time before which all of it lies."""

    parent: str
    name: str
    ends: datetime


async def _forget_elsewhere(database: Database, store: Store, calls: _Part, dropped: Sequence[_Part]) -> None:
    """Delete what is left of a partition's calls outside the partitions that are dropped with it."""
    async with database.transaction() as session:
        recordings = text(
            f"SELECT path FROM recordings WHERE call_id IN (SELECT id FROM {calls.name}) ORDER BY path"  # noqa: S608
        )
        files = list(await session.scalars(recordings))
    await delete_files(store, files)
    beside = {part.parent for part in dropped if part.ends == calls.ends}
    conditions = dict.fromkeys(("outbox", "webhook_deliveries", "recordings"), "true")
    conditions |= {table: "started_at < :ends" for table in BY_START if table not in beside}
    for table in BY_TIME:  # a call may go on into the next month
        begins = "at >= :ends AND " if table in beside else ""
        conditions[table] = f"{begins}at < CAST(:ends AS timestamptz) + interval '2 days'"
    async with database.transaction() as session:
        for table, condition in conditions.items():
            await session.execute(
                text(
                    f"DELETE FROM {table} WHERE {condition} "  # noqa: S608 - names of our own
                    f"AND call_id IN (SELECT id FROM {calls.name})"
                ),
                {"ends": calls.ends} if ":ends" in condition else {},
            )
