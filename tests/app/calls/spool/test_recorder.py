"""The recorder with a spool: outages of any length lose nothing, and memory stays bounded."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from app.calls import recorder as module
from app.calls.presence import Presence
from app.calls.recorder import Recorder
from app.calls.spool import writer as spool_writer
from app.calls.spool.codec import decode
from app.calls.spool.folder import states
from app.calls.spool.replay import SpoolReplay
from app.calls.spool.spool import Spool
from app.calls.writing.rows import Entry
from app.db.session import Database
from tests.app.calls.conftest import running
from tests.app.calls.events import ended, noted, started, turn, whole_call
from tests.app.calls.spool.outages import Relay
from tests.app.calls.test_recorder import count, lost


@pytest.fixture
async def relay(database: Database, tmp_path: Path) -> AsyncIterator[Relay]:
    relay = Relay(tmp_path, database)
    await relay.up()
    yield relay
    await relay.down()


@asynccontextmanager
async def spooling(relay: Relay, presence: Presence, root: Path) -> AsyncIterator[Recorder]:
    through = Database(relay.url)
    async with Spool(root, presence.id) as spool, running(Recorder(through, presence.id, spool)) as recorder:
        yield recorder
    await through.close()


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.05,))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "spool"


async def stored(database: Database) -> list[int]:
    return [await count(database, table) for table in ("calls", "turns", "call_events")]


async def test_an_outage_longer_than_memory_loses_nothing(
    database: Database, presence: Presence, relay: Relay, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMORY_EVENTS", 300)
    monkeypatch.setattr(module, "QUEUE_SIZE", 1000)
    monkeypatch.setattr(module, "RESERVED", 100)
    monkeypatch.setattr(spool_writer, "SEGMENT_BYTES", 60_000)
    before = {reason: lost(reason) for reason in ("overflow", "refused", "orphaned", "unreadable")}
    async with spooling(relay, presence, root) as recorder:
        await relay.down()
        most = 0
        for number in range(800):
            for event in whole_call():
                recorder.record(event)
            if not number % 40:  # a disk may be slow, and callers never are so fast
                await until_written(recorder, 5 * number + 5)
            most = max(most, recorder._waiting.in_memory)
        assert most < 600
        assert await recorder.flush(0.1) == 4000
        await relay.up()
        for _ in range(20):  # calls go on while it catches up
            for event in whole_call():
                recorder.record(event)
        assert await recorder.flush(30) == 0
    assert await stored(database) == [820, 1640, 820]
    assert {reason: lost(reason) for reason in before} == before
    assert states(root) == []


async def test_what_waits_is_on_the_disk_while_the_database_catches_up(
    database: Database, presence: Presence, relay: Relay, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is full when the database comes back, and the spool's ticks pass before calls go on."""
    monkeypatch.setattr(module, "BATCH_SIZE", 10)
    monkeypatch.setattr(spool_writer, "TICK_SECONDS", 0.01)
    batches = asyncio.Semaphore(0)
    async with spooling(relay, presence, root) as recorder:
        store = recorder._storing.store

        async def when_let(batch: Sequence[Entry]) -> None:
            await batches.acquire()
            await store(batch)

        monkeypatch.setattr(recorder._storing, "store", when_let)
        for _ in range(4):
            for event in whole_call():
                recorder.record(event)
        await until_written(recorder, 20)
        monkeypatch.setattr(spool_writer, "SEGMENT_BYTES", size_of_file(root))
        for total in (25, 30, 35):
            batches.release()
            await asyncio.sleep(0.1)
            for event in whole_call():
                recorder.record(event)
            await until_written(recorder, total)
            assert missing(recorder, root, total) == set()
        for _ in range(10):
            batches.release()
        assert await recorder.flush(10) == 0
    assert await stored(database) == [7, 14, 7]
    assert states(root) == []


def size_of_file(root: Path) -> int:
    (file,) = root.rglob("*.events")
    return file.stat().st_size


def missing(recorder: Recorder, root: Path, total: int) -> set[int]:
    """Events that neither the database nor the spool has."""
    found = {entry.number for file in root.rglob("*.events") for entry in decode(file.read_bytes()).entries}
    assert recorder._spool
    return set(range(recorder._spool._stored + 1, total + 1)) - found


async def test_a_hanging_database_is_waited_for(
    database: Database, presence: Presence, relay: Relay, root: Path
) -> None:
    async with spooling(relay, presence, root) as recorder:
        for event in whole_call():
            recorder.record(event)
        assert await recorder.flush(5) == 0
        relay.hang()
        for _ in range(30):
            for event in whole_call():
                recorder.record(event)
        assert await recorder.flush(0.6) == 150
        relay.flow()
        assert await recorder.flush(10) == 0
    assert await stored(database) == [31, 62, 31]


async def test_a_stop_during_an_outage_leaves_all_to_the_next_start(
    database: Database, presence: Presence, relay: Relay, root: Path
) -> None:
    open_call = started()
    with capture_logs() as logs:
        async with spooling(relay, presence, root) as recorder:
            recorder.record(open_call)
            assert await recorder.flush(5) == 0
            await relay.down()
            for _ in range(10):
                for event in whole_call():
                    recorder.record(event)
            recorder.record(turn(open_call.call_id))
            recorder.record(ended(open_call.call_id))
            assert await recorder.flush(0.1) == 52
    assert "events of calls wait in the spool; the next start stores them" in [log["event"] for log in logs]
    assert await stored(database) == [1, 0, 0]
    assert await SpoolReplay(database, root).once() == 1
    assert await stored(database) == [11, 21, 10]
    assert await outcomes(database) == {"caller": 11}
    assert states(root) == []


async def until_written(recorder: Recorder, number: int) -> None:
    assert recorder._spool
    async with asyncio.timeout(10):
        while recorder._spool.written < number:
            await asyncio.sleep(0.002)


async def outcomes(database: Database) -> dict[str | None, int]:
    from sqlalchemy import text

    async with database.transaction() as session:
        rows = await session.execute(text("SELECT outcome, count(*) FROM calls GROUP BY outcome"))
        return {row[0]: row[1] for row in rows}


async def test_a_full_disk_leaves_memory_alone(
    database: Database, presence: Presence, relay: Relay, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to ``QUEUE_SIZE`` nothing is lost, beyond it is counted; the spool comes back by itself."""
    monkeypatch.setattr(module, "MEMORY_EVENTS", 50)
    monkeypatch.setattr(module, "QUEUE_SIZE", 500)
    monkeypatch.setattr(module, "RESERVED", 0)
    monkeypatch.setattr(spool_writer, "TICK_SECONDS", 0.05)
    write, full = os.write, True

    def limited(file: int, data: bytes) -> int:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data)

    async with spooling(relay, presence, root) as recorder:
        await relay.down()
        monkeypatch.setattr(os, "write", limited)
        overflow = lost("overflow")
        for _ in range(100):
            for event in whole_call():
                recorder.record(event)
        await asyncio.sleep(0.1)
        recorder.record(started())
        assert lost("overflow") == overflow + 1
        assert recorder._waiting.in_memory == 500
        full = False
        await asyncio.sleep(0.3)  # it writes what waits, and memory has room again
        await relay.up()
        for _ in range(20):
            for event in whole_call():
                recorder.record(event)
                await asyncio.sleep(0)
        assert await recorder.flush(10) == 0
        assert lost("overflow") == overflow + 1
    assert await stored(database) == [120, 240, 120]


async def test_calls_of_other_processes_are_known(
    database: Database, presence: Presence, relay: Relay, root: Path
) -> None:
    """What is found out about a call after its process is gone is stored by another one."""
    other = Presence(database)
    await other.start()
    call = started()
    async with running(Recorder(database, other.id)) as gone:
        gone.record(call)
        await gone.flush(5)
    refused = lost("refused")
    async with spooling(relay, presence, root) as recorder:
        recorder.record(noted(call.call_id))
        recorder.record(noted(uuid4()))
        assert await recorder.flush(5) == 0
    assert await count(database, "call_events") == 1
    assert lost("refused") == refused + 1


async def test_what_the_spool_lost_is_counted(
    database: Database, presence: Presence, relay: Relay, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMORY_EVENTS", 50)
    unreadable = lost("unreadable")
    async with spooling(relay, presence, root) as recorder:
        await relay.down()
        for _ in range(100):
            for event in whole_call():
                recorder.record(event)
                await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        for event in whole_call():
            recorder.record(event)
        await written(root, 505)
        damage(root)
        await relay.up()
        assert await recorder.flush(10) == 0
    assert lost("unreadable") == unreadable + 1
    assert sum(await stored(database)) in {100 * 4 + 4 - 1, 100 * 4 + 4}  # of ends none is a row


async def written(root: Path, records: int) -> None:
    """Wait until the spool's thread has written so many."""
    async with asyncio.timeout(5):
        while _records(root) < records:
            await asyncio.sleep(0.01)


def _records(root: Path) -> int:
    return sum(file.read_bytes().count(b"\xf5TL\x01") for file in root.rglob("*.events"))


def damage(root: Path) -> None:
    """Change a byte in the record of event 200."""
    (file,) = root.rglob("*.events")
    data = file.read_bytes()
    assert data.count(b"\xf5TL\x01") == 505
    at = data.index(b'{"n":200,')
    file.write_bytes(data[:at] + b"?" + data[at + 1 :])


async def test_recording_into_a_spool_costs_little(tmp_path: Path) -> None:
    """``record`` runs in the calls' own path, beside the thread that writes."""
    async with Spool(tmp_path, uuid4()) as spool:
        recorder = Recorder(Database("postgresql://nobody@127.0.0.1:1/none"), uuid4(), spool)
        event = turn(uuid4())
        loop = asyncio.get_running_loop()
        took = []
        gc.collect()
        for _ in range(500):
            begun = loop.time()
            recorder.record(event)
            took.append(loop.time() - begun)
            await asyncio.sleep(0.001)
        assert sorted(took)[250] < 100e-6
