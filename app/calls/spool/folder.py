"""Where spools are: ``<data_dir>/spool/<instance id>/``, a folder a process, held by a lock while the process
lives.

The kernel frees the lock when its process ends in whatever way, so that a spool whose lock is free belongs to
nobody and can be taken over. Folders and files can be read by their owner alone: they hold what callers said.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import orjson

from app.calls.spool.codec import decode

SPOOL = "spool"  # under the data directory
_LOCK = "lock"
_SUFFIX = ".events"
_DAMAGED = ".damaged"


class SpoolUnavailable(Exception):
    """The spool's folder cannot be made. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The process whose spool it is or was."""

    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class SpoolState:
    """A spool as an operator sees it. ``oldest`` and ``newest``: when its files were last written.

    ``events``: those that, by what its files say, the database does not have.
    """

    instance_id: UUID
    alive: bool
    events: int
    bytes: int
    files: int
    oldest: datetime | None
    newest: datetime | None


class SpoolFolder:
    """A spool whose lock this process holds, until ``release`` or ``remove``."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def create(cls, root: Path, instance_id: UUID) -> SpoolFolder:
        """The folder of this process. Raises ``SpoolUnavailable``."""
        path = root / str(instance_id)
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _gate(root):
                path.mkdir(mode=0o700, exist_ok=True)
                lock = _open(path / _LOCK)
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(lock, orjson.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
        except OSError as error:
            raise SpoolUnavailable(
                f"the spool {path} cannot be made ({error.strerror}); "
                "check the permissions and the free space of TRUNKLINE_DATA_DIR"
            ) from None
        return cls(path, lock)

    @classmethod
    def take_over(cls, path: Path) -> SpoolFolder | None:
        """The folder of a process that is gone; ``None`` where it lives. Raises ``OSError``."""
        with _gate(path.parent):
            if not path.is_dir():
                return None
            lock = _open(path / _LOCK)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return None
        return cls(path, lock)

    @property
    def instance_id(self) -> UUID:
        """The process whose spool it is or was."""
        return UUID(self.path.name)

    @property
    def owner(self) -> Owner:
        """Who made it; without a name where the process was killed before it could say so."""
        try:
            said = orjson.loads((self.path / _LOCK).read_bytes())
            return Owner(str(said["host"]), int(said["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Owner("", 0)

    def file_for(self, number: int) -> Path:
        """The file whose first event has this number."""
        return self.path / f"{number:020d}{_SUFFIX}"

    def files(self) -> list[Path]:
        """The files of events, in order. Raises ``OSError``."""
        return sorted(self.path.glob(f"*{_SUFFIX}"))

    def set_aside(self, file: Path) -> Path:
        """Keep a damaged file for the operator, beside the spool; returns where. Raises ``OSError``."""
        kept = self.path.parent / f"{self.path.name}-{file.stem}{_DAMAGED}"
        return file.rename(kept)

    def release(self) -> None:
        """Leave the spool as it is, to whoever takes it over."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def remove(self) -> None:
        """Delete the spool, which is stored. Raises ``OSError``."""
        for file in self.files():
            file.unlink()
        (self.path / _LOCK).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            self.path.rmdir()
        self.release()


def first_number(file: Path) -> int:
    """The number of a file's first event."""
    return int(file.stem)


def spool_paths(root: Path) -> list[Path]:
    """The folders of all processes, the living ones' too. Raises ``OSError``."""
    try:
        with os.scandir(root) as found:
            return sorted(Path(entry) for entry in found if _is_uuid(entry.name) and entry.is_dir())
    except FileNotFoundError:
        return []


def damaged_files(root: Path) -> list[Path]:
    """What was set aside. It holds what callers said. Raises ``OSError``."""
    return sorted(root.glob(f"*{_DAMAGED}"))


def delete_damaged(root: Path, before: datetime) -> int:
    """Delete what was set aside, where it was written before a time; returns how many files.

    Files keep the time when their process last wrote to them. Raises ``OSError``.
    """
    deleted = 0
    for file in damaged_files(root):
        with suppress(FileNotFoundError):  # somebody else was quicker
            if file.stat().st_mtime < before.timestamp():
                file.unlink()
                deleted += 1
    return deleted


def states(root: Path) -> list[SpoolState]:
    """All spools under ``root``, and whether their processes live; reads every file. Raises ``OSError``."""
    return [_state(path) for path in spool_paths(root)]


def _state(path: Path) -> SpoolState:
    folder = SpoolFolder.take_over(path)
    if folder is not None:
        folder.release()
    found = []
    contents = []
    for file in sorted(path.glob(f"*{_SUFFIX}")):
        with suppress(FileNotFoundError):  # stored meanwhile
            found.append(file.stat())
            contents.append(decode(file.read_bytes()))
    stored = max((content.stored for content in contents), default=0)
    times = [datetime.fromtimestamp(status.st_mtime, UTC) for status in found]
    return SpoolState(
        instance_id=UUID(path.name),
        alive=folder is None,
        events=sum(entry.number > stored for content in contents for entry in content.entries),
        bytes=sum(status.st_size for status in found),
        files=len(found),
        oldest=min(times, default=None),
        newest=max(times, default=None),
    )


def _is_uuid(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


@contextmanager
def _gate(root: Path) -> Iterator[None]:
    """One process at a time makes, takes or looks at a spool: none is taken before its maker locks it."""
    gate = _open(root / _LOCK)
    try:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield
    finally:
        os.close(gate)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
