"""Remembering calls without making them wait: events queue in memory, one task stores them in batches.

``record`` appends and returns. While the database is away events wait, in order, up to ``QUEUE_SIZE``.
A batch is one transaction; when its outcome is not known it is written again, which changes nothing that
was stored. An event that the database refuses costs only itself and what depends on it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from itertools import count, islice
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.rows import Entry, write_entries
from app.db.session import Database, describe, is_away, sqlstate
from app.metrics import (
    RECORDER_BATCH_SECONDS,
    RECORDER_FAILURES,
    RECORDER_LOST,
    RECORDER_WAITING,
    RECORDER_WRITTEN,
)
from app.voice.events import CallEnded, CallRecord, CallStarted

QUEUE_SIZE = 20_000  # events; 1 KB each and 0.2 KB a word of the caller, 200 s of 150 busy calls
RESERVED = 2_000  # of them for starts and ends of calls alone: a call is worth more than a note in it
BATCH_SECONDS = 0.25
BATCH_SIZE = 200
RETRY_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0)  # the last one from then on
LOG_SECONDS = 10.0

FOREIGN_KEY_VIOLATION = "23503"

_log = structlog.get_logger(__name__)


class Recorder:
    """A ``CallRecorder`` on the database. ``run`` must run for as long as calls are recorded."""

    def __init__(self, database: Database, instance_id: UUID) -> None:
        """``instance_id``: the process whose calls these are; its row must be stored (``Presence.start``)."""
        self._database = database
        self._instance_id = instance_id
        self._waiting: deque[Entry] = deque()
        self._numbers = count(1)
        self._lost_calls: set[UUID] = set()  # calls that are not stored, so nothing of them can be
        self._overflow = 0  # events since the last line in the log
        self._overflow_logged = float("-inf")
        self._arrived = asyncio.Event()
        self._enough = asyncio.Event()
        self._all_stored = asyncio.Event()
        self._all_stored.set()

    def record(self, event: CallRecord) -> None:
        """Take an event to be stored. Never blocks and never raises; what cannot be stored is counted.

        To be called on the event loop.
        """
        vital = isinstance(event, CallStarted | CallEnded)
        waiting = len(self._waiting)
        if waiting >= (QUEUE_SIZE if vital else QUEUE_SIZE - RESERVED):
            self._drop(event)
            return
        self._waiting.append(Entry(next(self._numbers), event))
        self._all_stored.clear()
        self._arrived.set()
        if waiting + 1 >= BATCH_SIZE:
            self._enough.set()

    async def run(self) -> None:
        """Store what is recorded, until cancelled. Cancel it after ``flush``, or what waits is lost."""
        while True:
            await self._arrived.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(BATCH_SECONDS):
                    await self._enough.wait()
            await self._store_all()

    async def flush(self, seconds: float) -> int:
        """Wait at most ``seconds`` until all that was recorded is stored; returns how many events still wait.

        ``run`` must be running.
        """
        self._enough.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._all_stored.wait()
        if self._waiting:
            _log.error("events of calls were not stored in time", events=len(self._waiting))
        return len(self._waiting)

    def _drop(self, event: CallRecord) -> None:
        RECORDER_LOST.labels("overflow").inc()
        if isinstance(event, CallStarted):
            self._lost_calls.add(event.call_id)
        elif isinstance(event, CallEnded):
            self._lost_calls.discard(event.call_id)
        self._overflow += 1
        now = asyncio.get_running_loop().time()
        if now - self._overflow_logged >= LOG_SECONDS:
            _log.error("too many events of calls wait for the database; some are lost", lost=self._overflow)
            self._overflow, self._overflow_logged = 0, now

    async def _store_all(self) -> None:
        while self._waiting:
            batch = list(islice(self._waiting, BATCH_SIZE))
            await self._store_with_retries(self._without_lost(batch))
            for _ in batch:
                self._waiting.popleft()
            RECORDER_WAITING.set(len(self._waiting))
        self._arrived.clear()
        self._enough.clear()
        self._all_stored.set()

    def _without_lost(self, batch: list[Entry]) -> list[Entry]:
        """The batch less what belongs to calls that are not stored."""
        if not self._lost_calls:
            return batch
        known = []
        for entry in batch:
            if entry.event.call_id not in self._lost_calls:
                known.append(entry)
                continue
            RECORDER_LOST.labels("orphaned").inc()
            if isinstance(entry.event, CallEnded):
                self._lost_calls.discard(entry.event.call_id)
        return known

    async def _store_with_retries(self, batch: list[Entry]) -> None:
        clock = asyncio.get_running_loop().time
        failures, logged = 0, float("-inf")
        while True:
            try:
                await self._store(batch)
                break
            except Exception as error:  # noqa: BLE001 - the task's edge
                if not is_away(error):
                    RECORDER_LOST.labels("refused").inc(len(batch))
                    _log.error("a batch of events cannot be stored", events=len(batch), **describe(error))
                    break
                delay = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
                failures += 1
                RECORDER_FAILURES.inc()
                RECORDER_WAITING.set(len(self._waiting))
                if clock() - logged >= LOG_SECONDS:
                    logged = clock()
                    waiting = len(self._waiting)
                    _log.warning(
                        "the database is away; events of calls wait", waiting=waiting, **describe(error)
                    )
            await asyncio.sleep(delay)
        if failures:
            _log.info("the database is back", failures=failures)

    async def _store(self, batch: list[Entry]) -> None:
        """Write a batch, in parts where it must be. Raises when the database is away."""
        try:
            with RECORDER_BATCH_SECONDS.time():
                async with self._database.transaction() as session:
                    await write_entries(session, batch, self._instance_id)
        except Exception as error:
            if is_away(error):
                raise
            await self._store_apart(batch)
        else:
            RECORDER_WRITTEN.inc(len(batch))

    async def _store_apart(self, batch: list[Entry]) -> None:
        """Write a batch that holds something the database refuses, and leave that out."""
        calls: dict[UUID, list[Entry]] = {}
        for entry in batch:
            calls.setdefault(entry.event.call_id, []).append(entry)
        refused: list[tuple[Entry, Exception]] = []
        async with self._database.transaction() as session:
            for entries in calls.values():
                if await self._attempt(session, entries) is None:
                    continue
                for entry in entries:
                    error = await self._attempt(session, [entry])
                    if error is not None:
                        refused.append((entry, error))
        RECORDER_WRITTEN.inc(len(batch) - len(refused))
        self._account_for(refused)
        self._lost_calls -= {entry.event.call_id for entry in batch if isinstance(entry.event, CallEnded)}

    async def _attempt(self, session: AsyncSession, entries: list[Entry]) -> Exception | None:
        """Write entries in a savepoint; returns why they were refused. Raises when the database is away."""
        try:
            async with session.begin_nested():
                await write_entries(session, entries, self._instance_id)
        except Exception as error:
            if is_away(error):
                raise
            return error
        return None

    def _account_for(self, refused: list[tuple[Entry, Exception]]) -> None:
        for entry, error in refused:
            event = entry.event
            if event.call_id in self._lost_calls:
                RECORDER_LOST.labels("orphaned").inc()
                continue
            if isinstance(event, CallStarted) or sqlstate(error) == FOREIGN_KEY_VIOLATION:
                self._lost_calls.add(event.call_id)
            RECORDER_LOST.labels("refused").inc()
            _log.error(
                "an event of a call cannot be stored",
                call_id=str(event.call_id),
                event_type=type(event).__name__,
                **describe(error),
            )
