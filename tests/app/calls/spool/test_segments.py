"""The files of a living spool: each has its own name, whatever the disk and the database do meanwhile."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from app.calls.spool import writer as module
from tests.app.calls.spool.test_spool import Disk, disk, failing, metric

__all__ = ["disk"]  # the fixture


@pytest.fixture
def full(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Its open file holds events 1 to 5, and is exactly full; the database has the first two."""
    disk.step(5)
    (file,) = disk.folder.files()
    monkeypatch.setattr(module, "SEGMENT_BYTES", file.stat().st_size)
    disk.step(stored=2, seconds=1)
    return disk


def names(disk: Disk) -> list[int]:
    return [int(file.stem) for file in disk.folder.files()]


def test_a_tick_on_a_full_file_leaves_the_next_one_its_own(full: Disk) -> None:
    full.step(1)
    assert names(full) == [1, 6]
    full.step(stored=5)
    assert full.found() == [6]
    full.step(1)
    assert full.found() == [6, 7]


def test_a_failed_write_takes_nothing_from_a_full_file(full: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, [10])
    full.step(1)
    assert full.found() == [1, 2, 3, 4, 5]


def refuse_to_cut(_file: int, _size: int) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_a_file_that_could_not_be_begun_leaves_its_name(full: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first write of a new file fails half-way, and what it left cannot be cut off."""
    room = [10]
    failing(monkeypatch, room)
    monkeypatch.setattr(os, "ftruncate", refuse_to_cut)
    full.step(1)
    room[0] = 10**6
    full.step(seconds=1)
    assert names(full) == [1, 6]
    full.step(stored=5)
    assert full.found() == [6]


def test_no_file_is_opened_twice(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is there already, for whatever reason, is nobody's to append to."""
    Path(disk.folder.file_for(1)).write_bytes(b"kept")
    before = metric("trunkline_spool_failures_total", reason="write")
    disk.step(1)
    assert disk.folder.file_for(1).read_bytes() == b"kept"
    assert metric("trunkline_spool_failures_total", reason="write") == before + 1


def test_nothing_is_shown_to_wait_once_nothing_does(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk was full during the outage, so that no file is there whose end is looked for."""
    failing(monkeypatch, [0])
    disk.step(5)
    disk.step(seconds=3)
    assert metric("trunkline_spool_waiting_events", owner="self") == 5
    assert disk.step(stored=5, seconds=0.1) is None
    assert metric("trunkline_spool_waiting_events", owner="self") == 0
    assert metric("trunkline_spool_oldest_seconds") == 0
