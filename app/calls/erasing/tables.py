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

from app.db.session import Database
from app.outbox.repository import CALL_ENDED
from app.recordings.forgetting import Sound
from app.voice.events import WORDS_IN_NOTES

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
# Who stores events of a call holds its row meanwhile (``writing.rows``): what they store is deleted with it.
_LOCK = text(
    """
    SELECT FROM calls
    WHERE id = ANY(CAST(:calls AS uuid[])) AND started_at = ANY(CAST(:began AS timestamptz[]))
    ORDER BY started_at, id FOR UPDATE
    """
)
_WORDS = (
    "UPDATE turns SET caller_text = '', caller_words = '[]', reply_text = '', heard_text = '', "
    "backchannels = '[]' WHERE call_id = ANY(CAST(:calls AS uuid[]))",
    "DELETE FROM call_events "
    "WHERE call_id = ANY(CAST(:calls AS uuid[])) AND name = ANY(CAST(:notes AS text[]))",
    f"DELETE FROM outbox WHERE call_id = ANY(CAST(:calls AS uuid[])) AND topic = '{CALL_ENDED}'",  # noqa: S608
    "UPDATE calls SET words_deleted_at = now(), disposition = NULL, sentiment = NULL, score = NULL "
    "WHERE id = ANY(CAST(:calls AS uuid[])) AND started_at = ANY(CAST(:began AS timestamptz[]))",
)
_WORDLESS = ("webhook_deliveries", "call_steps", "call_texts", "recordings")
"""Tables of which nothing is left of a call whose words are deleted."""


_SOUNDS = text(
    """
    SELECT calls.id, calls.started_at, calls.carrier_call_id, coalesce(recordings.path, ''),
           coalesce(recordings.store, ''), coalesce(recordings.source, ''), coalesce(recordings.state, '')
    FROM calls LEFT JOIN recordings ON recordings.call_id = calls.id
    WHERE calls.id = ANY(CAST(:calls AS uuid[])) AND calls.started_at = ANY(CAST(:began AS timestamptz[]))
    """
)


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


async def is_known(database: Database, call_id: UUID) -> bool:
    """Whether there is such a call."""
    async with database.transaction() as session:
        return (
            await session.scalar(text("SELECT 1 FROM calls WHERE id = :call"), {"call": call_id}) is not None
        )


async def sounds_of(session: AsyncSession, calls: Sequence[Found]) -> list[Sound]:
    """What may be left of the sound of each of these calls, also of those without a recording's row."""
    rows = await session.execute(_SOUNDS, _parameters(calls))
    return [Sound(*row) for row in rows]


async def delete_calls(session: AsyncSession, calls: Sequence[Found]) -> dict[str, int]:
    """Delete every row of these calls; returns how many rows of each table."""
    await session.execute(_LOCK, _parameters(calls))
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
    await session.execute(_LOCK, _parameters(calls))
    gone = {table: await _delete(session, table, calls) for table in _WORDLESS}
    for statement in _WORDS:
        await session.execute(text(statement), _parameters(calls))
    return {"calls": len(calls), **gone}


async def delete_recordings(session: AsyncSession, calls: Sequence[Found]) -> dict[str, int]:
    """Delete what is known of the recordings of these calls."""
    return {"recordings": await _delete(session, "recordings", calls)}


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
    return {
        "calls": [call.id for call in calls],
        "began": [call.started_at for call in calls],
        "notes": list(WORDS_IN_NOTES),
    }
