"""Spools of processes that are gone: their events are stored, and their open calls end as our fault.

At start, and again every ``LOOK_SECONDS``, since the processes of a machine share a data directory. An event
that was stored already stays as it is, so that this can be done again from the beginning after whatever
interrupts it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count, zip_longest
from pathlib import Path
from typing import ParamSpec, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.models import Call, Instance
from app.calls.spool.codec import Contents, decode
from app.calls.spool.folder import SpoolFolder, first_number, spool_paths
from app.calls.writing.rows import Entry, write_entries
from app.calls.writing.storing import Storing
from app.db.session import Database, describe, is_away
from app.metrics import (
    CALLS_ABANDONED,
    RECORDER_LOST,
    SPOOL_DAMAGED,
    SPOOL_FAILURES,
    SPOOL_REPLAYED,
    SPOOL_WAITING,
)
from app.voice.events import CallEnded, Outcome
from telephony.errors import HangupCause

LOOK_SECONDS = 5.0
BATCH_SIZE = 200
PAUSE_SECONDS = 0.02  # between batches: other calls are going on
LOG_SECONDS = 60.0  # between lines about the same spool

P = ParamSpec("P")
T = TypeVar("T")

_log = structlog.get_logger(__name__)


class _DiskFailed(Exception):
    """A spool cannot be read, moved or deleted. The message is the system's."""


class SpoolReplay:
    """Stores what processes that are gone left under ``root``, the folder of all spools."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root
        self._logged: dict[Path, float] = {}

    async def run(self) -> None:
        """Look again and again, until cancelled. Goes on while the database is away."""
        while True:
            await self.once()
            await asyncio.sleep(LOOK_SECONDS)

    async def once(self) -> int:
        """Store what is there now; returns how many spools that were. What fails is left for the next time.

        At start before ``Presence.start``, so that no call is closed whose true end is here.
        """
        done = waiting = 0
        for path in await self._paths():
            try:
                stored, left = await self._take(path)
            except _DiskFailed as error:  # the others are stored all the same
                self._disk_failed(path, error)
            else:
                done += stored
                waiting += left
        SPOOL_WAITING.labels("gone").set(waiting)
        return done

    async def _paths(self) -> list[Path]:
        try:
            return await _disk(spool_paths, self._root)
        except _DiskFailed as error:
            self._disk_failed(self._root, error)
            return []

    async def _take(self, path: Path) -> tuple[bool, int]:
        """Store a spool, unless its process lives: whether that was done, and how many events still wait.

        Raises ``_DiskFailed``.
        """
        folder = await _disk(SpoolFolder.take_over, path)
        if folder is None:
            return False, 0
        try:
            if await self._store(folder):
                return True, 0
            return False, await _disk(_waiting, folder)
        finally:
            folder.release()

    async def _store(self, folder: SpoolFolder) -> bool:
        """Store a spool and delete it; whether that was done."""
        try:
            await _Replay(self._database, folder).run()
        except _DiskFailed as error:
            self._disk_failed(folder.path, error)
        except Exception as error:  # noqa: BLE001 - the task's edge
            if is_away(error):
                text = "the database is away; what a process that is gone left in its spool waits"
            else:
                SPOOL_FAILURES.labels("replay").inc()
                text = "a spool cannot be stored; it stays where it is, and is tried again"
            self._warn(folder.path, text, **describe(error))
        else:
            return True
        return False

    def _disk_failed(self, path: Path, error: _DiskFailed) -> None:
        SPOOL_FAILURES.labels("read").inc()
        text = "a spool cannot be read or deleted; check the disk and the permissions of TRUNKLINE_DATA_DIR"
        self._warn(path, text, reason=str(error))

    def _warn(self, path: Path, text: str, **details: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._logged.get(path, float("-inf")) >= LOG_SECONDS:
            self._logged[path] = now
            _log.error(text, spool=str(path), **details)


class _Replay:
    """One spool on its way into the database."""

    def __init__(self, database: Database, folder: SpoolFolder) -> None:
        self._database = database
        self._folder = folder
        self._storing = Storing(database, folder.instance_id)
        self._last_at: datetime | None = None  # of all events
        self._last_number = 0
        self._replayed = 0

    async def run(self) -> None:
        """Store, end the open calls, delete. Raises ``_DiskFailed``, and when the database is away."""
        files = await _disk(self._folder.files)
        stored = await _disk(_stored, files)
        await self._make_instance_known(await _disk(_last_written, self._folder))
        for file, following in zip_longest(files, files[1:]):
            contents = await _disk(_read, file)
            await self._replay(contents, stored)
            if contents.damaged:
                await self._set_aside(file, contents, following)
        ended = await self._end_open_calls()
        await _disk(self._folder.remove)
        if self._replayed or ended:
            _log.warning(
                "stored what a process that is gone left in its spool",
                instance=str(self._folder.instance_id),
                events=self._replayed,
                calls_ended=ended,
            )

    async def _replay(self, contents: Contents, stored: int) -> None:
        for entry in contents.entries:
            self._last_number = max(self._last_number, entry.number)
            self._last_at = max(self._last_at or entry.event.at, entry.event.at)
        entries = [entry for entry in contents.entries if entry.number > stored]
        for batch in _batches(entries):
            await self._storing.store(batch)
            SPOOL_REPLAYED.inc(len(batch))
            self._replayed += len(batch)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _make_instance_known(self, last_written: datetime) -> None:
        """Calls need the row of their instance, which a restored database may lack."""
        owner = self._folder.owner
        row = {"id": self._folder.instance_id, "host": owner.host, "pid": owner.pid}
        gone = {"heartbeat_at": last_written, "stopped_at": last_written}
        async with self._database.transaction() as session:
            await session.execute(insert(Instance).values(row | gone).on_conflict_do_nothing())

    async def _end_open_calls(self) -> int:
        """End what the process left open when it was last heard of; returns how many calls."""
        async with self._database.transaction() as session:
            gone_at = await self._gone_at(session)
            opened = await session.execute(
                select(Call.id, Call.started_at)
                .where(Call.instance_id == self._folder.instance_id, Call.ended_at.is_(None))
                .with_for_update()
            )
            numbers = count(self._last_number + 1)
            ends = [
                Entry(next(numbers), _end(call_id, started_at, max(gone_at, started_at)))
                for call_id, started_at in opened
            ]
            if ends:
                await write_entries(session, ends, self._folder.instance_id)
        CALLS_ABANDONED.inc(len(ends))
        return len(ends)

    async def _gone_at(self, session: AsyncSession) -> datetime:
        """When the process was last heard of."""
        found = await session.scalars(
            select(Instance.heartbeat_at).where(Instance.id == self._folder.instance_id)
        )
        heartbeat = found.one()
        return max(self._last_at or heartbeat, heartbeat)

    async def _set_aside(self, file: Path, contents: Contents, following: Path | None) -> None:
        """Keep a damaged file, of which everything that can be read is stored."""
        numbers = [entry.number for entry in contents.entries]
        end = first_number(following) if following else max(numbers, default=0) + 1
        lost = max(0, end - first_number(file) - len(numbers))
        SPOOL_DAMAGED.inc(contents.damaged)
        RECORDER_LOST.labels("unreadable").inc(lost)
        kept = await _disk(self._folder.set_aside, file)
        _log.error(
            "a file of a spool is damaged; what can be read of it is stored, and the file is kept",
            do="check the disk; delete the file once it is of no more use, for it holds what callers said",
            file=str(kept),
            places=contents.damaged,
            events_lost=lost,
        )


def _end(call_id: UUID, started_at: datetime, at: datetime) -> CallEnded:
    return CallEnded(
        call_id=call_id,
        at=at,
        cause=HangupCause.SERVER_ERROR,
        outcome=Outcome.US,
        duration=(at - started_at).total_seconds(),
    )


def _batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    for begin in range(0, len(entries), BATCH_SIZE):
        yield entries[begin : begin + BATCH_SIZE]


async def _disk(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Do something with files in a thread, and tell their errors from the database's."""
    try:
        return await asyncio.to_thread(work, *arguments, **options)
    except OSError as error:
        raise _DiskFailed(error.strerror) from error


def _read(file: Path) -> Contents:
    return decode(file.read_bytes())


def _stored(files: Sequence[Path]) -> int:
    """How far the database had the events of these files: what the newest says that says it."""
    for file in reversed(files):
        stored = _read(file).stored
        if stored:
            return stored
    return 0


def _waiting(folder: SpoolFolder) -> int:
    """Events that are in the files and not in the database."""
    files = folder.files()
    last = max((entry.number for file in files[-1:] for entry in _read(file).entries), default=0)
    return max(0, last - max(_stored(files), first_number(files[0]) - 1)) if files else 0


def _last_written(folder: SpoolFolder) -> datetime:
    newest = max(path.stat().st_mtime for path in (*folder.files(), folder.path))
    return datetime.fromtimestamp(newest, UTC)
