"""This process's spool: every event of a call on disk until the database has it.

A thread of its own writes, so that a disk that stalls holds up neither the event loop nor what goes to the
database. A killed process loses at most what it recorded in its last milliseconds, a machine that crashes its
last second; what it leaves is stored by ``app.calls.spool.replay`` when the next process starts.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog

from app.calls.spool.codec import decode
from app.calls.spool.folder import SpoolFolder, first_number
from app.calls.spool.writer import SpoolWriter
from app.calls.writing.rows import Entry
from app.metrics import SPOOL_FAILURES

CLOSE_SECONDS = 5.0  # for the disk, at the end

_log = structlog.get_logger(__name__)


class Spool:
    """An asynchronous context manager; it is open from the beginning.

    At the end, what the database has not is left to the next start, and an empty spool is deleted.
    """

    def __init__(self, root: Path, instance_id: UUID) -> None:
        """``root``: the folder of all spools. Raises ``SpoolUnavailable``."""
        self._folder = SpoolFolder.create(root, instance_id)
        self._writer = SpoolWriter(self._folder)
        self._changed = threading.Condition()  # of the inbox, and of what follows it
        self._inbox: deque[Entry] = deque()
        self._stored = 0
        self._closing = False
        self._works = True
        # A daemon: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    @property
    def written(self) -> int:
        """All events up to this number can be read back."""
        return self._writer.written

    def append(self, entry: Entry) -> None:
        """Take an event to be written; numbers rise. Never waits for the disk and never raises."""
        with self._changed:
            if self._works:
                self._inbox.append(entry)
                self._changed.notify()

    def stored(self, number: int) -> None:
        """All events up to ``number`` are in the database, or cannot be: they are not needed any more."""
        with self._changed:
            self._stored = number
            while self._inbox and self._inbox[0].number <= number:  # the disk is slower than the database
                self._inbox.popleft()
            self._changed.notify()

    async def read(self, after: int, up_to: int) -> tuple[list[Entry], int]:
        """Events from after a number on, of one file, and the number up to which these are all there is.

        What can no longer be read is left out. Raises ``OSError``.
        """
        return await asyncio.to_thread(self._read, after, up_to)

    async def close(self) -> None:
        """Bring what waits to the disk; leave it, or delete the folder. Takes ``CLOSE_SECONDS`` at most."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join, CLOSE_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _read(self, after: int, up_to: int) -> tuple[list[Entry], int]:
        files = self._folder.files()
        numbers = [first_number(file) for file in files]
        at = max((index for index, number in enumerate(numbers) if number <= after + 1), default=-1)
        if at < 0:  # what comes next is gone
            return [], min(up_to, numbers[0] - 1 if numbers else up_to)
        end = up_to if at + 1 == len(files) else min(up_to, numbers[at + 1] - 1)
        try:
            contents = decode(files[at].read_bytes())
        except FileNotFoundError:  # deleted since it was listed: all in it is stored
            return [], end
        return [entry for entry in contents.entries if after < entry.number <= end], end

    # The thread

    def _run(self) -> None:
        try:
            self._work()
        except Exception:  # noqa: BLE001 - the thread's edge
            with self._changed:
                self._works = False
                self._inbox.clear()
            SPOOL_FAILURES.labels("broken").inc()
            _log.exception("the spool is broken; events of calls wait in memory alone until the next start")

    def _work(self) -> None:
        due: float | None = None
        while not self._closing:
            self._writer.take(*self._arrived(due), monotonic())
            due = self._writer.work(monotonic())
        self._writer.take(*self._arrived(0.0), monotonic())
        self._writer.close(monotonic())
        if not self._writer.waiting:
            try:
                self._folder.remove()
            except OSError:
                SPOOL_FAILURES.labels("delete").inc()
        elif self._writer.unwritten:
            _log.error("events of calls are lost: the disk took them no more", lost=self._writer.unwritten)
        self._folder.release()

    def _arrived(self, due: float | None) -> tuple[list[Entry], int]:
        """What came by now, or comes first within ``due`` seconds, and how far the database is."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._inbox or self._closing or self._stored > self._writer.stored, due
            )
            entries = list(self._inbox)
            self._inbox.clear()
            return entries, self._stored
