"""Deleting what is older than it may become: recordings, what was said, whole calls.

Each agent may have days of its own. Calls of which nothing may stay for anybody go by whole months where that
can be; the others in batches.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.erasing.days import Days, Retention
from app.calls.erasing.forgotten import forgotten
from app.calls.erasing.months import drop_months
from app.calls.erasing.tables import BATCH, Found, delete_calls, delete_recordings, delete_words, summed
from app.db.session import Database
from app.recordings.ports import Places

_log = structlog.get_logger(__name__)

PAGE = 1000
"""Rows that are looked at in one statement."""

_PAGE = """
    SELECT page.id, page.started_at, page.call_id,
           calls.ended_at IS NOT NULL AND coalesce(own.days, :usual) > 0
               AND calls.started_at < now() - make_interval(days => coalesce(own.days, :usual)) AS due
    FROM (
        SELECT id, {call} AS call_id, started_at FROM {table}
        WHERE started_at < now() - make_interval(days => :least) AND (started_at, id) > (:at, :id) AND {which}
        ORDER BY started_at, id LIMIT :most
    ) AS page
    LEFT JOIN LATERAL (
        SELECT * FROM calls WHERE id = page.call_id AND started_at = page.started_at
        OFFSET 0  -- by its key: the planner would rather read all calls
    ) AS calls ON true
    LEFT JOIN unnest(CAST(:agents AS text[]), CAST(:days AS integer[])) AS own(agent, days)
           ON own.agent = calls.agent
    ORDER BY page.started_at, page.id
"""
_RECORDED = text(_PAGE.format(call="call_id", table="recordings", which="true"))
_WORDY = text(_PAGE.format(call="id", table="calls", which="words_deleted_at IS NULL"))
_ANY = text(_PAGE.format(call="id", table="calls", which="true"))

Remove = Callable[[AsyncSession, Sequence[Found]], Awaitable[dict[str, int]]]


async def apply_retention(database: Database, places: Places, keep: Retention) -> dict[str, dict[str, int]]:
    """Delete what is too old; returns rows of each table, by what was deleted. Safe to be done at any time.

    Calls that a worker is busy with, or whose sound cannot be deleted, stay until the next time.
    """
    done: dict[str, dict[str, int]] = {}
    kinds: tuple[tuple[str, Days, TextClause, Remove], ...] = (
        ("recordings", keep.recordings, _RECORDED, delete_recordings),
        ("transcripts", keep.transcripts, _WORDY, delete_words),
        ("calls", keep.calls, _ANY, delete_calls),
    )
    for name, days, query, remove in kinds:
        counts = [await drop_months(database, places, days)] if name == "calls" else []
        async for calls in _old(database, query, days):
            async with forgotten(database, places, calls) as gone, database.transaction() as session:
                counts.append(await remove(session, gone))
        done[name] = summed(counts)
        if any(done[name].values()):
            _log.info("deleted what was kept long enough", what=name, **done[name])
    return done


async def _old(database: Database, query: TextClause, days: Days) -> AsyncIterator[list[Found]]:
    """Calls that are too old, a batch at a time, the oldest first, each once."""
    if not days.least:
        return
    at, last, read = datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0), PAGE
    own = {"agents": list(days.agents), "days": list(days.agents.values()), "usual": days.usual}
    while read == PAGE:
        parameters = {**own, "least": days.least, "at": at, "id": last, "most": PAGE}
        async with database.transaction() as session:
            rows = (await session.execute(query, parameters)).all()
        due = [Found(row.call_id, row.started_at) for row in rows if row.due]
        for begin in range(0, len(due), BATCH):
            yield due[begin : begin + BATCH]
        read = len(rows)
        if rows:
            at, last = rows[-1].started_at, rows[-1].id
