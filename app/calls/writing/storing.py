"""Batches of events into the database: what it refuses costs only itself, and what depends on it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TypeAlias
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.models import Call
from app.calls.writing.rows import Entry, write_entries
from app.db.session import Database, describe, is_away
from app.metrics import RECORDER_BATCH_EVENTS, RECORDER_BATCH_SECONDS, RECORDER_LOST, RECORDER_WRITTEN
from app.voice.events import CallEnded, CallRecord, CallRefused, CallStarted

ENDED_CALLS = 20_000  # whose late notes are still taken; twice what the desk remembers of them

_Refused: TypeAlias = tuple[Entry, Exception | None]
"""An event that cannot be stored, and why; without an error, because its call is not known."""

_log = structlog.get_logger(__name__)


class Storing:
    """Stores the events of one instance, in order."""

    def __init__(self, database: Database, instance_id: UUID) -> None:
        self._database = database
        self._instance_id = instance_id
        self._open: set[UUID] = set()  # and of these the start is stored, or on its way
        self._ended: OrderedDict[UUID, None] = OrderedDict()  # or of other processes
        self._lost: set[UUID] = set()  # calls that are not stored, so nothing of them can be

    def give_up(self, event: CallRecord, reason: str) -> None:
        """An event is lost before it could be stored."""
        RECORDER_LOST.labels(reason).inc()
        if isinstance(event, CallStarted):
            self._lost.add(event.call_id)
        elif isinstance(event, CallEnded):
            self._lost.discard(event.call_id)

    async def store(self, batch: Sequence[Entry]) -> None:
        """Write a batch, in parts where it must be, and count what cannot be stored.

        Raises when the database is away; then nothing was done, and the same batch is to be stored again.
        """
        await self._look_up(batch)
        self._open.update(entry.event.call_id for entry in batch if isinstance(entry.event, CallStarted))
        admitted = [entry for entry in batch if self._admits(entry.event)]
        refused: list[_Refused] = [(entry, None) for entry in batch if not self._admits(entry.event)]
        try:
            RECORDER_BATCH_EVENTS.observe(len(admitted))
            with RECORDER_BATCH_SECONDS.time():
                async with self._database.transaction() as session:
                    await write_entries(session, admitted, self._instance_id)
        except Exception as error:
            if is_away(error):
                raise
            refused += await self._store_apart(admitted)
        RECORDER_WRITTEN.inc(len(batch) - len(refused))
        self._account_for(refused)
        self._close(entry.event.call_id for entry in batch if isinstance(entry.event, CallEnded))

    async def _look_up(self, batch: Sequence[Entry]) -> None:
        """Calls whose start did not pass through here: another process answered them, and is gone."""
        begun = {entry.event.call_id for entry in batch if isinstance(entry.event, CallStarted)}
        calls = (
            {entry.event.call_id for entry in batch if not isinstance(entry.event, CallRefused)}
            - begun
            - self._lost
        )
        strange = [call_id for call_id in calls if not self._knows(call_id)]
        if strange:
            async with self._database.transaction() as session:
                found = await session.scalars(select(Call.id).where(Call.id.in_(strange)))
            self._keep(found)

    def _admits(self, event: CallRecord) -> bool:
        return isinstance(event, CallRefused) or self._knows(event.call_id)

    def _knows(self, call_id: UUID) -> bool:
        return call_id in self._open or call_id in self._ended

    def _close(self, calls: Iterable[UUID]) -> None:
        for call_id in calls:
            self._lost.discard(call_id)
            if call_id in self._open:
                self._open.discard(call_id)
                self._keep([call_id])

    def _keep(self, calls: Iterable[UUID]) -> None:
        self._ended |= dict.fromkeys(calls)
        while len(self._ended) > ENDED_CALLS:
            self._ended.popitem(last=False)

    async def _store_apart(self, batch: Sequence[Entry]) -> list[_Refused]:
        """Write a batch that holds something the database refuses, and leave that out; returns it."""
        calls: dict[UUID, list[Entry]] = {}
        for entry in batch:
            calls.setdefault(entry.event.call_id, []).append(entry)
        refused: list[_Refused] = []
        async with self._database.transaction() as session:
            for entries in calls.values():
                if await self._attempt(session, entries) is not None:
                    refused += await self._one_by_one(session, entries)
        return refused

    async def _one_by_one(self, session: AsyncSession, entries: Sequence[Entry]) -> list[_Refused]:
        """Write a call's events one by one; returns those that were refused. Without a start, all are."""
        refused: list[_Refused] = []
        without_start: Exception | None = None
        for entry in entries:
            error = without_start or await self._attempt(session, [entry])
            if error is not None:
                refused.append((entry, error))
                if isinstance(entry.event, CallStarted):
                    without_start = error
        return refused

    async def _attempt(self, session: AsyncSession, entries: Sequence[Entry]) -> Exception | None:
        """Write entries in a savepoint; returns why they were refused. Raises when the database is away."""
        try:
            async with session.begin_nested():
                await write_entries(session, entries, self._instance_id)
        except Exception as error:
            if is_away(error):
                raise
            return error
        return None

    def _account_for(self, refused: Iterable[_Refused]) -> None:
        for entry, error in refused:
            if entry.event.call_id in self._lost:
                RECORDER_LOST.labels("orphaned").inc()
            else:
                self._refuse(entry, error)

    def _refuse(self, entry: Entry, error: Exception | None) -> None:
        event = entry.event
        if error is None or isinstance(event, CallStarted):
            self._lost.add(event.call_id)
            self._open.discard(event.call_id)
            self._ended.pop(event.call_id, None)
        RECORDER_LOST.labels("refused").inc()
        _log.error(
            "an event of a call cannot be stored",
            call_id=str(event.call_id),
            event_type=type(event).__name__,
            **(describe(error) if error else {"error": "its call is not stored"}),
        )
