"""Copies of recordings that are needed for a moment: all in one folder, each locked by whoever uses it.

The kernel frees the lock when a process ends in whatever way, so that a copy whose lock is free is nobody's.
Everything here blocks, for a moment.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

FOLDER = ".tmp"
"""Under the folder of recordings, so that a copy becomes a recording by its name alone."""


@contextmanager
def scratch_file(folder: Path) -> Iterator[Path]:
    """An empty file of mode 0600, deleted at the end unless it was renamed. Raises ``OSError``."""
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = place / uuid4().hex
    with _gate(place):  # nobody looks at the file before it is locked
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        os.close(fd)


def delete_left(folder: Path) -> int:
    """Delete the copies that processes left which were killed; returns how many. Raises ``OSError``."""
    place = folder / FOLDER
    if not place.is_dir():
        return 0
    deleted = 0
    with _gate(place):
        for path in list(place.iterdir()):
            with suppress(FileNotFoundError), path.open("rb") as file:  # its user has done with it
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                path.unlink()
                deleted += 1
    return deleted


@contextmanager
def _gate(place: Path) -> Iterator[None]:
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
