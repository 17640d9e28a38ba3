"""Spools of processes that are gone: stored whole and once, whatever moment they were killed at."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from structlog.testing import capture_logs

from app.calls.presence import Presence
from app.calls.recorder import Recorder
from app.calls.service import close_abandoned
from app.calls.spool.codec import encode, encode_stored
from app.calls.spool.folder import SpoolFolder, damaged_files, delete_damaged, spool_paths
from app.calls.spool.replay import SpoolReplay
from app.calls.writing.rows import Entry
from app.db.session import Database
from app.voice.events import CallEnded, CallNoted, CallRecord, CallStarted, TurnCompleted
from config.settings import ROOT
from tests.app.calls.conftest import running
from tests.app.calls.events import ended, noted, started, turn, whole_call
from tests.app.calls.spool.victims import AWAY, story
from tests.app.calls.test_presence import silence
from tests.app.calls.test_recorder import count, lost

ROUNDS = int(os.environ.get("SPOOL_KILLS", "15")) // 3


def leave(root: Path, *files: list[CallRecord] | bytes, instance_id: UUID | None = None) -> SpoolFolder:
    """A spool of a process that is gone; its events are numbered from 1. Still locked."""
    folder = SpoolFolder.create(root, instance_id or uuid4())
    number = 1
    for content in files:
        path = folder.file_for(number)
        if isinstance(content, bytes):
            path.write_bytes(content)
            continue
        path.write_bytes(b"".join(encode(Entry(number + at, event)) for at, event in enumerate(content)))
        number += len(content)
    return folder


def make_old(root: Path, at: datetime) -> None:
    for path in root.rglob("*"):
        os.utime(path, (at.timestamp(), at.timestamp()))


async def calls(database: Database) -> list[tuple[str | None, float | None]]:
    async with database.transaction() as session:
        rows = await session.execute(text("SELECT outcome, duration_seconds FROM calls ORDER BY started_at"))
        return [(row[0], row[1]) for row in rows]


async def stored(database: Database) -> list[int]:
    return [await count(database, table) for table in ("calls", "turns", "call_events")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "spool"


async def test_open_calls_end_as_our_fault_when_they_were_last_heard_of(
    database: Database, root: Path
) -> None:
    begun = datetime.now(UTC) - timedelta(hours=1)
    done, left = whole_call(at=begun), started(at=begun + timedelta(seconds=1))
    last = noted(left.call_id, at=begun + timedelta(seconds=41))
    leave(root, done, [left, turn(left.call_id, at=begun + timedelta(seconds=20)), last]).release()
    make_old(root, begun + timedelta(seconds=30))
    assert await SpoolReplay(database, root).once() == 1
    assert await calls(database) == [("caller", 30.0), ("us", 40.0)]
    assert await stored(database) == [2, 3, 2]
    assert spool_paths(root) == []
    assert await SpoolReplay(database, root).once() == 0


async def test_a_later_heartbeat_counts(database: Database, presence: Presence, root: Path) -> None:
    begun = datetime.now(UTC) - timedelta(seconds=100)
    call = started(at=begun)
    leave(root, [call, noted(call.call_id, at=begun)], instance_id=presence.id).release()
    await silence(database, presence.id, 40)
    await SpoolReplay(database, root).once()
    ((outcome, duration),) = await calls(database)
    assert outcome == "us"
    assert duration == pytest.approx(60, abs=5)


async def test_a_true_end_replaces_ours_and_ours_replaces_none(
    database: Database, presence: Presence, root: Path
) -> None:
    """Another host closed the calls before the spool was found."""
    true, none = started(), started()
    async with running(Recorder(database, presence.id)) as recorder:
        recorder.record(true)
        recorder.record(none)
        await recorder.flush(5)
    await silence(database, presence.id, 60)
    async with database.transaction() as session:
        assert await close_abandoned(session) == 2
    before = await calls(database)
    leave(root, [true, none, ended(true.call_id)], instance_id=presence.id).release()
    await SpoolReplay(database, root).once()
    after = await calls(database)
    assert sorted(str(end) for end in after) == sorted(map(str, [("caller", 30.0), before[1]]))


async def test_what_the_database_has_is_not_stored_again(
    database: Database, presence: Presence, root: Path
) -> None:
    """A caller who was erased stays so, and calls whose start is stored long since go on."""
    erased, known = whole_call(), started()
    async with running(Recorder(database, presence.id)) as recorder:
        recorder.record(known)
        await recorder.flush(5)
    folder = leave(root, [*erased, turn(known.call_id, 0)], [turn(known.call_id, 1)], instance_id=presence.id)
    with (folder.files()[1]).open("ab") as file:
        file.write(encode_stored(5))
    folder.release()
    await SpoolReplay(database, root).once()
    assert await stored(database) == [1, 2, 0]


async def test_damage_costs_what_is_damaged(database: Database, root: Path) -> None:
    first, second = whole_call(), whole_call()
    folder = leave(root, first, second)
    damaged, last = folder.files()
    data = bytearray(damaged.read_bytes())
    data[data.index(b'"index":0')] ^= 1
    damaged.write_bytes(data)
    with last.open("ab") as file:
        file.write(encode(Entry(11, started()))[:50])  # being written when it was killed
    folder.release()
    unreadable = lost("unreadable")
    with capture_logs() as logs:
        assert await SpoolReplay(database, root).once() == 1
    assert await stored(database) == [2, 3, 2]
    assert lost("unreadable") == unreadable + 1
    assert spool_paths(root) == []
    kept = root / f"{folder.path.name}-{damaged.stem}.damaged"
    assert kept.read_bytes() == data
    (log,) = [log for log in logs if log["log_level"] == "error"]
    assert (log["places"], log["events_lost"], log["file"]) == (1, 1, str(kept))
    assert "parcel" not in str(logs)


def test_damaged_files_are_deleted_when_they_are_old(tmp_path: Path) -> None:
    """By when callers said what is in them, not by when they were found."""
    folder = leave(tmp_path, b"old")
    (file,) = folder.files()
    kept = [folder.set_aside(file)]
    folder.file_for(7).write_bytes(b"new")
    kept.append(folder.set_aside(folder.file_for(7)))
    now = datetime.now(UTC)
    os.utime(kept[0], ((now - timedelta(days=31)).timestamp(),) * 2)
    assert damaged_files(tmp_path) == sorted(kept)
    assert delete_damaged(tmp_path, now - timedelta(days=32)) == 0
    assert delete_damaged(tmp_path, now - timedelta(days=30)) == 1
    assert damaged_files(tmp_path) == kept[1:]
    assert folder.path.exists()
    folder.release()
    assert delete_damaged(tmp_path / "none", now) == 0


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"\xf5TL\x01", os.urandom(3000)])
async def test_any_file_is_survived(database: Database, root: Path, content: bytes) -> None:
    call = whole_call()
    leave(root, call, content, whole_call()).release()  # the middle one is written over by the last
    folder = leave(root, call, content)
    folder.release()
    (root / "no spool").mkdir()
    (root / "file").write_bytes(content)
    assert await SpoolReplay(database, root).once() == 2
    assert spool_paths(root) == []
    assert (await count(database, "calls")) == 2


async def test_an_empty_folder_without_a_lock_is_removed(database: Database, root: Path) -> None:
    (root / str(uuid4())).mkdir(parents=True)
    assert await SpoolReplay(database, root).once() == 1
    assert spool_paths(root) == []


async def test_what_the_database_refuses_costs_only_itself(database: Database, root: Path) -> None:
    refused = lost("refused")
    call = whole_call()
    bad = turn(call[0].call_id, 7, text="a\x00b")
    leave(root, [*call[:-1], bad, call[-1]]).release()
    assert await SpoolReplay(database, root).once() == 1
    assert await stored(database) == [1, 2, 1]
    assert lost("refused") == refused + 1


async def test_events_whose_call_nobody_knows_are_counted(database: Database, root: Path) -> None:
    refused, orphaned = lost("refused"), lost("orphaned")
    leave(root, [turn(uuid4()), *whole_call()]).release()
    stranger = uuid4()
    leave(root, [turn(stranger), noted(stranger), ended(stranger)]).release()
    await SpoolReplay(database, root).once()
    assert await stored(database) == [1, 2, 1]
    assert (lost("refused"), lost("orphaned")) == (refused + 2, orphaned + 2)


async def test_without_a_database_spools_wait(root: Path) -> None:
    folder = leave(root, whole_call(), whole_call())
    with folder.files()[0].open("ab") as file:
        file.write(encode_stored(3))
    folder.release()
    replay = SpoolReplay(Database(AWAY), root)
    with capture_logs() as logs:
        for _ in range(3):
            assert await replay.once() == 0
    assert len(logs) == 1
    assert len(spool_paths(root)) == 1
    value = REGISTRY.get_sample_value("trunkline_spool_waiting_events", {"owner": "gone"})
    assert value == 7


async def test_a_spool_is_stored_by_one_process(database: Database, root: Path) -> None:
    for _ in range(5):
        leave(root, whole_call()).release()
    living = leave(root, whole_call())
    other = Database(database.engine.url.render_as_string(hide_password=False))
    done = await asyncio.gather(*(SpoolReplay(each, root).once() for each in (database, other)))
    await other.close()
    assert sum(done) == 5
    assert await stored(database) == [5, 10, 5]
    assert spool_paths(root) == [living.path]
    living.release()


async def test_a_spool_that_cannot_be_read_holds_up_no_other(database: Database, root: Path) -> None:
    """One that cannot be locked, and one that cannot be read when it is asked what waits in it."""
    unlockable, unreadable, good = sorted(uuid4() for _ in range(3))
    (root / str(unlockable) / "lock").mkdir(parents=True)
    folder = leave(root, whole_call(), instance_id=unreadable)
    folder.file_for(9).mkdir()
    folder.release()
    leave(root, whole_call(), instance_id=good).release()
    before = REGISTRY.get_sample_value("trunkline_spool_failures_total", {"reason": "read"}) or 0.0
    with capture_logs() as logs:
        assert await SpoolReplay(database, root).once() == 1
    assert await stored(database) == [1, 2, 1]
    assert [path.name for path in spool_paths(root)] == [str(unlockable), str(unreadable)]
    assert [log["spool"] for log in logs if log["log_level"] == "error"] == [
        str(root / str(unlockable)),
        str(root / str(unreadable)),
    ]
    assert (REGISTRY.get_sample_value("trunkline_spool_failures_total", {"reason": "read"}) or 0) > before


async def test_a_root_that_cannot_be_read_is_said(database: Database, tmp_path: Path) -> None:
    root = tmp_path / "lock"
    os.close(os.open(root, os.O_CREAT))
    with capture_logs() as logs:
        assert await SpoolReplay(database, root).once() == 0
    assert [log["spool"] for log in logs] == [str(root)]


async def test_it_looks_again_and_again(
    database: Database, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.calls.spool.replay.LOOK_SECONDS", 0.02)
    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(SpoolReplay(database, root).run())
        await asyncio.sleep(0.05)
        leave(root, whole_call()).release()
        async with asyncio.timeout(5):
            while await count(database, "calls") != 1 or spool_paths(root):
                await asyncio.sleep(0.02)
        looking.cancel()


# Killed processes


async def test_kills_at_any_moment_lose_nothing(database: Database, root: Path) -> None:
    """Three at a time: recording into the database, without one, and the first again."""
    url = database.engine.url.render_as_string(hide_password=False)
    rng = random.Random(5)
    victims = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.app.calls.spool.victims", str(root)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT.parent,
    )
    assert victims.stdin
    assert victims.stdout
    said: dict[int, dict[str, str]] = defaultdict(dict)
    finished = asyncio.Event()

    async def listen(lines: asyncio.StreamReader) -> None:
        async for line in lines:
            seed, word, value = line.decode().split()
            said[int(seed)][word] = value
        finished.set()

    written: dict[int, int] = {}
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listen(victims.stdout))
        for number in range(ROUNDS):
            seeds = [3 * number + index for index in range(3)]
            for seed, where in zip(seeds, (url, AWAY, url), strict=True):
                victims.stdin.write(f"{seed} {where}\n".encode())
            async with asyncio.timeout(20):
                while not all({"pid", "instance"} <= said[seed].keys() for seed in seeds):
                    await asyncio.sleep(0.005)
            for seed in seeds:
                await asyncio.sleep(rng.uniform(0, 0.15))
                await _kill(int(said[seed]["pid"]))
            written |= {seed: int(said[seed].get("written", 0)) for seed in seeds}
            assert await SpoolReplay(database, root).once() == 3
        victims.stdin.close()
        await victims.wait()
    assert finished.is_set()
    assert spool_paths(root) == []
    assert sum(written.values()) > 20 * ROUNDS
    for seed, least in written.items():
        await _holds_a_beginning(database, seed, UUID(said[seed]["instance"]), least)


async def _kill(pid: int) -> None:
    """Kill it, and wait until it is gone, which a sync of its disk can hold up; what it said last is read."""
    os.kill(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        async with asyncio.timeout(10):
            while True:
                os.kill(pid, 0)
                await asyncio.sleep(0.005)


async def _holds_a_beginning(database: Database, seed: int, instance: UUID, least: int) -> None:
    """The database has the first events of the story, at least as many as were written, each once."""
    of = {"id": instance}
    mine = "IN (SELECT id FROM calls WHERE instance_id = :id)"
    async with database.transaction() as session:
        rows = await session.execute(text("SELECT id, outcome FROM calls WHERE instance_id = :id"), of)
        found_calls = {row.id: row.outcome for row in rows}
        rows = await session.execute(text(f"SELECT call_id, index FROM turns WHERE call_id {mine}"), of)
        turns = [(row[0], row[1]) for row in rows]
        numbers = list(
            await session.scalars(text(f"SELECT number FROM call_events WHERE call_id {mine}"), of)
        )
    total = len(found_calls) + len(turns) + len(numbers)
    total += sum(outcome == "caller" for outcome in found_calls.values())
    assert total >= least
    expected = list(islice(story(seed), total))
    outcomes = {event.call_id: "us" for event in expected if isinstance(event, CallStarted)}
    outcomes |= {event.call_id: "caller" for event in expected if isinstance(event, CallEnded)}
    assert found_calls == outcomes
    told = [(event.call_id, event.index) for event in expected if isinstance(event, TurnCompleted)]
    assert sorted(turns) == sorted(told)
    assert sorted(numbers) == [n for n, event in enumerate(expected, 1) if isinstance(event, CallNoted)]
