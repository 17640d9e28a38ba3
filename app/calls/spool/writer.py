"""The files of a living spool: appended to, synced, and deleted once all in them is stored.

For one thread. Every method may take as long as the disk does, and none raises ``OSError``: what cannot be
written stays in memory, is tried again, and is counted.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import structlog

from app.calls.spool.codec import Unencodable, encode, encode_stored
from app.calls.spool.folder import SpoolFolder
from app.calls.writing.rows import Entry
from app.metrics import SPOOL_BYTES, SPOOL_FAILURES, SPOOL_OLDEST_SECONDS, SPOOL_SYNC_SECONDS, SPOOL_WAITING

SEGMENT_BYTES = 1024 * 1024  # of a file; read back as a whole, some 1,500 turns
SEGMENT_SECONDS = 10.0  # then a file that holds stored events is closed, so that it can be deleted
SYNC_SECONDS = 1.0  # the most that a crash of the machine can cost, and the time of a sync besides
TICK_SECONDS = 1.0
LATE_SECONDS = 2.0  # events that wait for less are on their way; beyond, the database is away
LOG_SECONDS = 10.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Segment:
    """A file of events. ``size``: bytes of whole records."""

    path: Path
    opened: float
    first: int
    last: int
    size: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is no event in it."""
        return self.last < self.first


class SpoolWriter:
    """Times are seconds of any clock that does not go back, and are handed in."""

    def __init__(self, folder: SpoolFolder, sync: Callable[[int], None] = os.fdatasync) -> None:
        self._folder = folder
        self._sync_file = sync
        self._pending: deque[Entry] = deque()  # taken and not written
        self._closed: deque[_Segment] = deque()
        self._active: _Segment | None = None
        self._file = -1  # of the active one
        self._unsynced: list[int] = []  # files that are closed but for their sync
        self._taken = 0
        self._stored = 0
        self._said_stored = 0  # what the active file says of it
        self._unsynced_since: float | None = None
        self._new_names = False  # files whose names a crash of the machine could lose
        self._ages: deque[tuple[int, float]] = deque()  # up to this number, taken at about this time
        self._retry_at = float("-inf")
        self._next_tick = float("-inf")
        self._logged = float("-inf")
        self.written = 0
        """All events up to this number are in the files, but for those that have no form there."""

    @property
    def stored(self) -> int:
        """All events up to this number are in the database."""
        return self._stored

    @property
    def waiting(self) -> int:
        """Events that the database does not have."""
        return self._taken - self._stored

    @property
    def unwritten(self) -> int:
        """Events that neither the database nor a file has."""
        return sum(entry.number > self._stored for entry in self._pending)

    def take(self, entries: Iterable[Entry], stored: int, now: float) -> None:
        """Events to be written, and how far the database has them."""
        self._pending.extend(entries)
        self._stored = max(self._stored, stored)
        self._taken = max(self._taken, self._stored)  # what is stored need not pass through here
        if self._pending and self._pending[-1].number > self._taken:
            self._taken = self._pending[-1].number
            if not self._ages or now - self._ages[-1][1] >= 1.0:
                self._ages.append((self._taken, now))
            else:
                self._ages[-1] = (self._taken, self._ages[-1][1])

    def work(self, now: float) -> float | None:
        """Do what is due; returns in how many seconds there is more to do, if there is."""
        self._skip_stored()
        if self.written <= self._stored:
            self._unsynced_since = None  # the database has it
            self._close_files()
        if now >= self._retry_at:
            self._write(now)
        self._forget_stored(now)
        if self._unsynced_since is not None and now - self._unsynced_since >= SYNC_SECONDS:
            self._sync(now)
        if now >= self._next_tick:
            self._tick(now)
        return self._due(now)

    def close(self, now: float) -> None:
        """Bring everything to the disk. The files stay."""
        self._retry_at = float("-inf")
        self._skip_stored()
        self._write(now)
        self._say_stored(now)
        self._sync(now)
        self._close_active()

    def _due(self, now: float) -> float | None:
        times = [self._next_tick] if self._active or self._ages or self._pending else []
        if self._unsynced_since is not None:
            times.append(self._unsynced_since + SYNC_SECONDS)
        if self._pending:
            times.append(self._retry_at)
        return max(0.001, min(times) - now) if times else None

    # Writing

    def _skip_stored(self) -> None:
        """Leave out where the database was quicker."""
        while self._pending and self._pending[0].number <= self._stored:
            self.written = self._pending.popleft().number

    def _write(self, now: float) -> None:
        while self._pending:
            data = bytearray()
            count = 0
            for entry in self._pending:
                data += self._record(entry)
                count += 1
                if len(data) >= SEGMENT_BYTES:
                    break
            last = self._pending[count - 1].number
            if data and not self._append(bytes(data), self._pending[0].number, last, now):
                return
            for _ in range(count):
                self._pending.popleft()
            self.written = last

    def _record(self, entry: Entry) -> bytes:
        try:
            return encode(entry)
        except Unencodable as error:
            SPOOL_FAILURES.labels("encode").inc()
            _log.error("an event has no form in the spool", reason=str(error))
            return b""

    def _append(self, data: bytes, first: int, last: int, now: float) -> bool:
        """Append whole records of these events to the active file, or to a new one; whether it was done."""
        try:
            segment = self._active_for(first, now)
            self._put(segment, data, now)
        except OSError as error:
            self._not_written(error, now)
            return False
        segment.last = last
        return True

    def _put(self, segment: _Segment, data: bytes, now: float) -> None:
        """Write whole records to the active file, however long it is. Raises ``OSError``: none is written."""
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            self._cut(segment)
            raise
        segment.size += len(data)
        if self._unsynced_since is None:
            self._unsynced_since = now

    def _active_for(self, first: int, now: float) -> _Segment:
        """The file to which the event of this number goes. Raises ``OSError``."""
        if self._active is not None and self._active.size >= SEGMENT_BYTES:
            self._close_active()
        if self._active is None:
            path = self._folder.file_for(first)
            # Never one that is there already: it would be deleted with the other of its name.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(path, flags, 0o600)
            self._active = _Segment(path, now, first, first - 1)
            self._new_names = True
            self._said_stored = 0
        return self._active

    def _cut(self, segment: _Segment) -> None:
        """Take back what was written of records that are not whole; where that fails, go on in a new file."""
        try:
            os.ftruncate(self._file, segment.size)
        except OSError:
            self._close_active()

    def _close_active(self) -> None:
        """The active file is full, or of no use any more."""
        active = self._active
        if active is None:
            return
        self._unsynced.append(self._file)
        self._active, self._file = None, -1
        if active.is_empty:
            self._delete(active.path)  # the next file will have its name
        else:
            self._closed.append(active)
        if self._unsynced_since is None:
            self._close_files()

    def _close_files(self) -> None:
        while self._unsynced:
            try:
                os.close(self._unsynced.pop())
            except OSError:  # some file systems report here what they could not write
                SPOOL_FAILURES.labels("write").inc()

    # What is stored

    def _forget_stored(self, now: float) -> None:
        waited = bool(self._ages)
        while self._ages and self._ages[0][0] <= self._stored:
            self._ages.popleft()
        while self._closed and self._closed[0].last <= self._stored:
            self._delete(self._closed.popleft().path)
        if waited and not self._ages:  # without a file there may be no tick any more
            self._measure(now)

    def _tick(self, now: float) -> None:
        self._next_tick = now + TICK_SECONDS
        active = self._active
        if active is not None and active.last <= self._stored:
            self._close_active()
            self._forget_stored(now)
        elif active is not None and now - active.opened >= SEGMENT_SECONDS and active.first <= self._stored:
            self._say_stored(now)
            self._close_active()
        else:
            self._say_stored(now)
        self._measure(now)

    def _say_stored(self, now: float) -> None:
        """Write down how far the database is, so that after a crash nothing older is stored again."""
        active = self._active
        if active is None or active.is_empty or self._said_stored >= self._stored:
            return
        try:
            self._put(active, encode_stored(self._stored), now)
        except OSError as error:
            self._not_written(error, now)
        else:
            self._said_stored = self._stored

    def _delete(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            SPOOL_FAILURES.labels("delete").inc()

    # The disk

    def _sync(self, now: float) -> None:
        """Have what is written survive a crash of the machine, unless the database has it all."""
        self._unsynced_since = None
        if self.written <= self._stored:
            return
        began = perf_counter()
        try:
            for file in (*self._unsynced, *([self._file] if self._active else [])):
                self._sync_file(file)
            if self._new_names:
                _sync_folder(self._folder.path)
                self._new_names = False
        except OSError as error:
            self._failed("sync", "the spool's disk does not keep what is written to it", error, now)
            self._close_active()  # what the kernel gave up of this file stays lost: go on in another
        self._close_files()
        SPOOL_SYNC_SECONDS.observe(perf_counter() - began)

    def _not_written(self, error: OSError, now: float) -> None:
        self._failed("write", "events of calls cannot be written to the spool", error, now)

    def _failed(self, what: str, event: str, error: OSError, now: float) -> None:
        self._retry_at = now + TICK_SECONDS
        SPOOL_FAILURES.labels(what).inc()
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            _log.error(
                event,
                reason=error.strerror,
                folder=str(self._folder.path),
                waiting=self.waiting,
                do="check the space on TRUNKLINE_DATA_DIR's disk; calls go on, their events wait in memory",
            )

    def _measure(self, now: float) -> None:
        age = now - self._ages[0][1] if self._ages else 0.0
        active = self._active.size if self._active else 0
        SPOOL_BYTES.set(sum(segment.size for segment in self._closed) + active)
        SPOOL_OLDEST_SECONDS.set(age)
        SPOOL_WAITING.labels("self").set(self.waiting if age >= LATE_SECONDS else 0)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
