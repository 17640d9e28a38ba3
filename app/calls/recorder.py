"""Remembering calls without making them wait: events queue, and one task stores them in batches.

``record`` appends and returns. Each event goes to the spool, where there is one, and waits in memory, in
order; while the database is away those beyond ``MEMORY_EVENTS`` wait in the spool alone. Without a spool, or
with a full disk, memory takes ``QUEUE_SIZE``, and what comes then is lost. A batch is one transaction; when
its outcome is not known it is written again, which changes nothing that was stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from uuid import UUID

import structlog

from app.calls.spool.spool import Spool
from app.calls.writing.backlog import Backlog
from app.calls.writing.rows import Entry
from app.calls.writing.storing import Storing
from app.db.session import Database, describe, is_away
from app.metrics import RECORDER_FAILURES, RECORDER_LOST, RECORDER_WAITING, SPOOL_FAILURES
from app.voice.events import CallEnded, CallRecord, CallStarted

QUEUE_SIZE = 20_000  # events; 1 KB each and 0.2 KB a word of the caller, 200 s of 150 busy calls
RESERVED = 2_000  # of them for starts and ends of calls alone: a call is worth more than a note in it
MEMORY_EVENTS = 4_000  # of those that the spool has too
BATCH_SECONDS = 0.25
BATCH_SIZE = 200
CATCH_UP_SECONDS = 0.02  # between batches while more than one waits: calls go on meanwhile
RETRY_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0)  # the last one from then on
READ_TRIES = 5  # of a spool's file, before what it holds is lost
LOG_SECONDS = 10.0

_log = structlog.get_logger(__name__)


class Recorder:
    """A ``CallRecorder`` on the database. ``run`` must run for as long as calls are recorded."""

    def __init__(self, database: Database, instance_id: UUID, spool: Spool | None = None) -> None:
        """``instance_id``: the process whose calls these are; its row must be stored (``Presence.start``).

        ``spool``: of the same instance, open for longer than ``run``; without one, what waits is in memory
        alone.
        """
        self._storing = Storing(database, instance_id)
        self.ended: Callable[[], None] = lambda: None
        """Called when ends of calls are stored, and with them what is owed after the calls."""
        self._spool = spool
        self._waiting = Backlog(MEMORY_EVENTS) if spool else Backlog()
        self._numbers = count(1)
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
        if self._spool:
            self._waiting.let_go(self._spool.written)
        vital = isinstance(event, CallStarted | CallEnded)
        if self._waiting.in_memory >= (QUEUE_SIZE if vital else QUEUE_SIZE - RESERVED):
            self._drop(event)
            return
        entry = Entry(next(self._numbers), event)
        if self._spool:
            self._spool.append(entry)
        self._waiting.add(entry)
        self._all_stored.clear()
        self._arrived.set()
        if len(self._waiting) >= BATCH_SIZE:
            self._enough.set()

    async def run(self) -> None:
        """Store what is recorded, until cancelled: after ``flush``, or what waits is left to the spool."""
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
        waiting = len(self._waiting)
        if waiting and self._spool:
            _log.warning("events of calls wait in the spool; the next start stores them", events=waiting)
        elif waiting:
            _log.error("events of calls were not stored in time", events=waiting)
        return waiting

    def _drop(self, event: CallRecord) -> None:
        self._storing.give_up(event, "overflow")
        self._overflow += 1
        now = asyncio.get_running_loop().time()
        if now - self._overflow_logged >= LOG_SECONDS:
            _log.error("too many events of calls wait for the database; some are lost", lost=self._overflow)
            self._overflow, self._overflow_logged = 0, now

    async def _store_all(self) -> None:
        while self._waiting:
            while self._spool and (wanted := self._waiting.to_read):
                await self._read_back(self._spool, *wanted)
            batch = self._waiting.oldest(BATCH_SIZE)
            if batch:
                await self._store_with_retries(batch)
                self._waiting.remove(len(batch))
                if self._spool:
                    self._spool.stored(batch[-1].number)
            RECORDER_WAITING.set(len(self._waiting))
            if len(self._waiting) > BATCH_SIZE:
                await asyncio.sleep(CATCH_UP_SECONDS)
        self._arrived.clear()
        self._enough.clear()
        self._all_stored.set()

    async def _read_back(self, spool: Spool, after: int, up_to: int) -> None:
        """Have some of what is in the spool alone in memory again."""
        entries, end = await self._read_with_retries(spool, after, up_to)
        missing = end - after - len(entries)
        if missing:
            RECORDER_LOST.labels("unreadable").inc(missing)
            _log.error("events of calls cannot be read back from the spool and are lost", lost=missing)
        self._waiting.read_back(entries, end)

    async def _read_with_retries(self, spool: Spool, after: int, up_to: int) -> tuple[list[Entry], int]:
        for failures in range(READ_TRIES):
            try:
                return await spool.read(after, up_to)
            except OSError as error:
                SPOOL_FAILURES.labels("read").inc()
                _log.warning("the spool cannot be read", reason=error.strerror)
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
        return [], up_to

    async def _store_with_retries(self, batch: Sequence[Entry]) -> None:
        clock = asyncio.get_running_loop().time
        failures, logged = 0, float("-inf")
        while True:
            try:
                await self._storing.store(batch)
                if any(isinstance(entry.event, CallEnded) for entry in batch):
                    self.ended()
                break
            except Exception as error:  # noqa: BLE001 - the task's edge
                if not is_away(error):
                    RECORDER_LOST.labels("refused").inc(len(batch))
                    _log.error("a batch of events cannot be stored", events=len(batch), **describe(error))
                    break
                delay = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
                failures += 1
                RECORDER_FAILURES.inc()
                waiting = len(self._waiting)
                RECORDER_WAITING.set(waiting)
                if clock() - logged >= LOG_SECONDS:
                    logged = clock()
                    _log.warning(
                        "the database is away; events of calls wait", waiting=waiting, **describe(error)
                    )
            await asyncio.sleep(delay)
        if failures:
            _log.info("the database is back", failures=failures)
