"""Deleting what is left of calls: all of it, or what was said in them.

No foreign key joins the tables of calls, so this module knows them all; a test compares it with the schema.
Files of recordings go first, rows after them: what is interrupted in between is done again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.recordings.ports import Store

TABLES = (
    # What starts work anew goes first, what finds the call again last.
    "outbox",
    "webhook_deliveries",
    "call_steps",
    "call_texts",
    "call_events",
    "turns",
    "legs",
    "recordings",
)
"""Every table with a call's id, besides ``calls``."""

KEYS = {
    "call_steps": "started_at",
    "call_texts": "started_at",
    "legs": "started_at",
}
"""Of partitioned tables, the column that holds when the call began: only its partition is looked into."""

BATCH = 200
"""Calls that are deleted in one transaction."""

_NUMBERS = text(
    """
    SELECT id, started_at, ended_at IS NULL AS live FROM calls
    WHERE from_number = :number OR to_number = :number
    ORDER BY started_at, id
    """
)
_WORDS = (
    "UPDATE turns SET caller_text = '', caller_words = '[]', reply_text = '', heard_text = '', "
    "backchannels = '[]' WHERE call_id = ANY(CAST(:calls AS uuid[]))",
    # Notes that hold what was said or keyed.
    "DELETE FROM call_events WHERE call_id = ANY(CAST(:calls AS uuid[])) AND name IN ('backchannel', 'dtmf', "
    "'operator_say', 'operator_advise', 'operator_hang_up')",
    "UPDATE calls SET redacted_at = coalesce(redacted_at, now()) "
    "WHERE id = ANY(CAST(:calls AS uuid[])) AND started_at = ANY(CAST(:began AS timestamptz[]))",
)
_WORDLESS = ("outbox", "webhook_deliveries", "call_steps", "call_texts", "recordings")
"""Tables of which nothing is left of a call whose words are deleted."""


@dataclass(frozen=True, slots=True)
class Found:
    """A call to be deleted. ``live``: it has not ended."""

    id: UUID
    started_at: datetime
    live: bool = False


async def calls_of(session: AsyncSession, number: str) -> list[Found]:
    """The calls from or to a number, oldest first."""
    rows = await session.execute(_NUMBERS, {"number": number})
    return [Found(row.id, row.started_at, row.live) for row in rows]


async def recorded(session: AsyncSession, calls: Sequence[Found]) -> list[str]:
    """The keys of the files of calls in the store."""
    query = text("SELECT path FROM recordings WHERE call_id = ANY(CAST(:calls AS uuid[])) ORDER BY path")
    return list(await session.scalars(query, {"calls": [call.id for call in calls]}))


async def delete_files(store: Store, keys: Sequence[str]) -> None:
    """Delete files from the store; those that are gone are no error. Raises ``StoreError``."""
    for key in keys:
        await store.delete(key)


async def delete_calls(session: AsyncSession, calls: Sequence[Found]) -> dict[str, int]:
    """Delete every row of these calls; returns how many rows of each table."""
    gone = {table: await _delete(session, table, calls) for table in TABLES}
    rows = await session.execute(
        text(
            "DELETE FROM calls WHERE id = ANY(CAST(:calls AS uuid[])) "
            "AND started_at = ANY(CAST(:began AS timestamptz[])) RETURNING id"
        ),
        _parameters(calls),
    )
    return {"calls": len(rows.all()), **gone}


async def delete_words(session: AsyncSession, calls: Sequence[Found]) -> dict[str, int]:
    """Delete what was said in these calls and what was made of it; the calls and their times stay."""
    gone = {table: await _delete(session, table, calls) for table in _WORDLESS}
    for statement in _WORDS:
        await session.execute(text(statement), _parameters(calls))
    return {"calls": len(calls), **gone}


def summed(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Rows of each table over several batches."""
    total: dict[str, int] = {}
    for each in counts:
        for table, count in each.items():
            total[table] = total.get(table, 0) + count
    return total


async def _delete(session: AsyncSession, table: str, calls: Sequence[Found]) -> int:
    pruned = f" AND {KEYS[table]} = ANY(CAST(:began AS timestamptz[]))" if table in KEYS else ""
    # The names are this module's own.
    statement = f"DELETE FROM {table} WHERE call_id = ANY(CAST(:calls AS uuid[])){pruned} RETURNING 1"  # noqa: S608
    return len((await session.execute(text(statement), _parameters(calls))).all())


def _parameters(calls: Sequence[Found]) -> dict[str, object]:
    return {"calls": [call.id for call in calls], "began": [call.started_at for call in calls]}
