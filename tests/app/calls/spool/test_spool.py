"""This process's spool: files, syncs, checkpoints, and disks that are full, slow or broken."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app.calls.spool import spool as spool_module
from app.calls.spool import writer as module
from app.calls.spool.codec import decode
from app.calls.spool.folder import SpoolFolder, SpoolUnavailable, first_number, states
from app.calls.spool.spool import Spool
from app.calls.spool.writer import SpoolWriter
from app.calls.writing.rows import Entry
from tests.app.calls.events import noted, turn

CALL = UUID(int=1)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Disk:
    """A writer on a real folder, in made-up time; syncs are noted."""

    def __init__(self, root: Path) -> None:
        self.now = 100.0
        self.syncs: list[float] = []
        self.sync_error: OSError | None = None
        self.folder = SpoolFolder.create(root, uuid4())
        self.writer = SpoolWriter(self.folder, self._sync)
        self.numbers = 0

    def _sync(self, file: int) -> None:
        assert file >= 0
        self.syncs.append(self.now)
        if self.sync_error:
            raise self.sync_error

    def step(self, events: int = 0, stored: int = 0, seconds: float = 0.0) -> float | None:
        self.now += seconds
        entries = [Entry(self.numbers + index + 1, turn(CALL, index)) for index in range(events)]
        self.numbers += events
        self.writer.take(entries, stored, self.now)
        return self.writer.work(self.now)

    def found(self) -> list[int]:
        return [entry.number for file in self.folder.files() for entry in decode(file.read_bytes()).entries]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "spool")


def test_events_are_in_a_file_of_ours_alone_at_once(disk: Disk) -> None:
    disk.step(3)
    assert disk.found() == [1, 2, 3]
    assert disk.writer.written == 3
    (file,) = disk.folder.files()
    assert file.stat().st_mode & 0o777 == 0o600
    assert (disk.folder.path / "lock").stat().st_mode & 0o777 == 0o600
    assert disk.folder.path.stat().st_mode & 0o777 == 0o700
    assert disk.folder.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_sync_at_most_every_second_and_only_for_something_new(disk: Disk) -> None:
    for _ in range(100):
        disk.step(1, seconds=0.1)
    assert 8 <= len(disk.syncs) <= 10
    assert min(after - before for before, after in zip(disk.syncs, disk.syncs[1:], strict=False)) >= 0.99
    before = len(disk.syncs)
    for _ in range(50):
        disk.step(seconds=0.5)
    assert len(disk.syncs) <= before + 1


def test_what_is_stored_soon_costs_no_sync_and_leaves_nothing(disk: Disk) -> None:
    for number in range(1, 50):
        disk.step(1, stored=number - 1, seconds=0.25)
        disk.step(stored=number, seconds=0.25)
    due = disk.step(seconds=1.5)
    assert (disk.syncs, disk.found(), due) == ([], [], None)
    assert disk.folder.files() == []


def test_files_are_deleted_once_stored_while_others_wait(disk: Disk) -> None:
    for _ in range(60):
        disk.step(100)
    names = disk.folder.files()
    assert len(names) >= 3
    disk.step(stored=5000, seconds=1)
    assert disk.found()[-1] == 6000
    assert disk.found()[0] > 1
    assert decode(disk.folder.files()[-1].read_bytes()).stored == 5000
    disk.step(stored=6000, seconds=1)
    assert disk.folder.files() == []
    assert metric("trunkline_spool_bytes") == 0


def test_stored_events_do_not_stay_longer_than_a_file_lasts(disk: Disk) -> None:
    """At every look something waits, and yet what callers said is gone soon."""
    for number in range(1, 200):
        disk.step(1, stored=number - 1, seconds=0.2)
    assert disk.numbers - disk.found()[0] < 20 / 0.2
    assert len(disk.folder.files()) <= 2


def test_what_waits_is_measured(disk: Disk) -> None:
    disk.step(5)
    disk.step(seconds=1)
    assert metric("trunkline_spool_waiting_events", owner="self") == 0  # on its way
    disk.step(5, seconds=3)
    disk.step(seconds=1)
    assert metric("trunkline_spool_waiting_events", owner="self") == 10
    assert 4 <= metric("trunkline_spool_oldest_seconds") <= 6
    assert metric("trunkline_spool_bytes") > 1000
    disk.step(stored=10, seconds=1)
    assert metric("trunkline_spool_waiting_events", owner="self") == 0
    assert metric("trunkline_spool_oldest_seconds") == 0


def failing(monkeypatch: pytest.MonkeyPatch, room: list[int]) -> None:
    """A disk with ``room[0]`` bytes left, which takes half a record when it is full."""
    write = os.write

    def full(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = write(file, bytes(data)[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr(os, "write", full)


def test_a_full_disk_is_counted_and_written_to_again(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = metric("trunkline_spool_failures_total", reason="write")
    room = [1500]
    failing(monkeypatch, room)
    with capture_logs() as logs:
        disk.step(1)
        for _ in range(50):
            disk.step(1, seconds=0.1)
        assert metric("trunkline_spool_failures_total", reason="write") >= before + 4
        (log,) = [log for log in logs if log["log_level"] == "error"]
    assert log["reason"] == "No space left on device"
    assert "parcel" not in str(logs)
    assert disk.writer.written == disk.found()[-1] < 51
    assert all(not decode(file.read_bytes()).torn for file in disk.folder.files())
    room[0] = 10**9
    disk.step(seconds=1)
    assert disk.found() == list(range(1, 52))


def test_what_is_stored_needs_no_room(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, [0])
    disk.step(10)
    assert disk.writer.unwritten == 10
    disk.step(stored=10, seconds=5)
    assert disk.writer.unwritten == 0
    assert disk.writer.written == 10


def test_a_disk_that_cannot_be_cut_gets_a_new_file(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    room = [1000]
    failing(monkeypatch, room)

    def refuse(_file: int, _size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "ftruncate", refuse)
    disk.step(1)
    disk.step(1)
    room[0] = 10**6
    disk.step(1, seconds=1)
    assert disk.found() == [1, 2, 3]
    assert len(disk.folder.files()) == 2


def test_a_failed_sync_goes_on_in_another_file(disk: Disk) -> None:
    before = metric("trunkline_spool_failures_total", reason="sync")
    disk.step(1)
    disk.sync_error = OSError(errno.EIO, "Input/output error")
    disk.step(seconds=1)
    disk.sync_error = None
    disk.step(1, seconds=2)
    assert disk.found() == [1, 2]
    assert len(disk.folder.files()) == 2
    assert metric("trunkline_spool_failures_total", reason="sync") == before + 1


def test_an_event_without_a_form_leaves_the_others(disk: Disk) -> None:
    odd = noted(CALL)
    odd.detail["what"] = object()  # type: ignore[assignment]
    disk.writer.take([Entry(1, odd), Entry(2, noted(CALL))], 0, disk.now)
    disk.writer.work(disk.now)
    assert disk.found() == [2]
    assert disk.writer.written == 2


# The thread


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_spool_is_deleted_when_all_is_stored_and_left_when_not(tmp_path: Path) -> None:
    async with Spool(tmp_path, uuid4()) as done, Spool(tmp_path, uuid4()) as left:
        for spool in (done, left):
            for number in range(1, 4):
                spool.append(Entry(number, noted(CALL)))
            await until(lambda spool=spool: spool.written == 3)  # type: ignore[misc]
        assert [state.alive for state in states(tmp_path)] == [True, True]
        done.stored(3)
        left.stored(2)
    (state,) = states(tmp_path)
    assert not state.alive
    assert (state.files, state.events) == (1, 1)
    (file,) = (tmp_path / str(state.instance_id)).glob("*.events")
    contents = decode(file.read_bytes())
    assert (len(contents.entries), contents.stored) == (3, 2)


async def test_events_are_read_back_from_any_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 2000)
    async with Spool(tmp_path, uuid4()) as spool:
        for number in range(1, 101):
            spool.append(Entry(number, turn(CALL, number)))
            if not number % 5:
                await until(lambda number=number: spool.written == number)  # type: ignore[misc]
        for after in (0, 1, 50, 98, 99):
            numbers: list[int] = []
            end = after
            while end < 100:
                entries, end = await spool.read(end, 100)
                numbers += [entry.number for entry in entries]
            assert numbers == list(range(after + 1, 101))
        spool.stored(100)


async def test_what_is_stored_while_it_is_looked_for_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 2000)
    async with Spool(tmp_path, uuid4()) as spool:
        for number in range(1, 31):
            spool.append(Entry(number, turn(CALL, number)))
            if not number % 5:
                await until(lambda number=number: spool.written == number)  # type: ignore[misc]
        listed = spool._folder.files()
        spool.stored(20)
        await until(lambda: len(spool._folder.files()) < len(listed))
        monkeypatch.setattr(SpoolFolder, "files", lambda _: listed)
        entries, end = await spool.read(0, 30)
        assert (entries, end) == ([], first_number(listed[1]) - 1)
        monkeypatch.undo()
        left = spool._folder.files()
        assert await spool.read(end, 30) == ([], first_number(left[0]) - 1)
        entries, _ = await spool.read(first_number(left[0]) - 1, 30)
        assert entries[0].number == first_number(left[0])
        spool.stored(30)


async def test_a_stalled_disk_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stalled, go_on = threading.Event(), threading.Event()

    def stall(_file: int) -> None:
        stalled.set()
        go_on.wait(10)

    monkeypatch.setattr(module, "SYNC_SECONDS", 0.01)
    monkeypatch.setattr(spool_module, "SpoolWriter", lambda folder: SpoolWriter(folder, stall))
    async with Spool(tmp_path, uuid4()) as spool:
        spool.append(Entry(1, noted(CALL)))
        await until(stalled.is_set)
        begun = monotonic()
        for number in range(2, 2002):
            spool.append(Entry(number, noted(CALL)))
        spool.stored(1)
        assert monotonic() - begun < 0.5
        assert spool.written == 1
        go_on.set()
        await until(lambda: spool.written == 2001)
        spool.stored(2001)


async def test_a_disk_that_never_answers_does_not_keep_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(spool_module, "CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(
        spool_module, "SpoolWriter", lambda folder: SpoolWriter(folder, lambda _: hang(go_on))
    )
    spool = Spool(tmp_path, uuid4())
    spool.append(Entry(1, noted(CALL)))
    async with asyncio.timeout(2):
        await spool.close()
    go_on.set()


def hang(go_on: threading.Event) -> None:
    go_on.wait(10)


async def test_a_disk_that_hangs_while_the_database_works_costs_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled, go_on = threading.Event(), threading.Event()

    def stall(_file: int) -> None:
        stalled.set()
        go_on.wait(10)

    monkeypatch.setattr(module, "SYNC_SECONDS", 0.01)
    monkeypatch.setattr(spool_module, "SpoolWriter", lambda folder: SpoolWriter(folder, stall))
    async with Spool(tmp_path, uuid4()) as spool:
        spool.append(Entry(1, noted(CALL)))
        await until(stalled.is_set)
        for number in range(2, 2002):
            spool.append(Entry(number, noted(CALL)))
            spool.stored(number - 10)
        assert len(spool._inbox) == 10
        go_on.set()
        await until(lambda: spool.written == 2001)
        spool.stored(2001)
    assert states(tmp_path) == []


async def test_a_broken_spool_is_said_once_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(SpoolWriter, "work", broken)
    with capture_logs() as logs:
        async with Spool(tmp_path, uuid4()) as spool:
            spool.append(Entry(1, noted(CALL)))
            await until(lambda: bool(logs))
            spool.append(Entry(2, noted(CALL)))
            spool.stored(1)
            assert not spool._inbox
            assert states(tmp_path)[0].alive  # nobody takes it over while its process lives
    assert len(logs) == 1


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolUnavailable, match="TRUNKLINE_DATA_DIR"):
        Spool(tmp_path / "file", uuid4())


def test_a_living_spool_is_not_taken_over(tmp_path: Path) -> None:
    folder = SpoolFolder.create(tmp_path, uuid4())
    assert SpoolFolder.take_over(folder.path) is None
    folder.release()
    taken = SpoolFolder.take_over(folder.path)
    assert taken is not None
    assert taken.owner.pid == os.getpid()
    assert SpoolFolder.take_over(folder.path) is None
    taken.remove()
    assert SpoolFolder.take_over(folder.path) is None
    assert states(tmp_path) == []
    assert states(tmp_path / "none") == []
