"""The recorder, from ``record`` to the rows: batches, outages, refusals, overflow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text
from structlog.testing import capture_logs

from app.calls import recorder as module
from app.calls.presence import Presence
from app.calls.recorder import Recorder
from app.db.session import Database, normalise_url
from tests.app.calls.conftest import Store, running
from tests.app.calls.events import NOON, ended, noted, started, turn, whole_call


async def count(database: Database, table: str) -> int:
    async with database.transaction() as session:
        found = await session.scalar(text(f"SELECT count(*) FROM {table}"))
    assert isinstance(found, int)
    return found


def lost(reason: str) -> float:
    return REGISTRY.get_sample_value("trunkline_recorder_lost_events_total", {"reason": reason}) or 0.0


async def test_a_call_is_stored_whole(database: Database, store: Store) -> None:
    call_id = uuid4()
    await store(started(call_id), turn(call_id), noted(call_id), ended(call_id))

    async with database.transaction() as session:
        call = (await session.execute(text("SELECT * FROM calls"))).one()
        row = (await session.execute(text("SELECT * FROM turns"))).one()
        event = (await session.execute(text("SELECT * FROM call_events"))).one()
    assert (call.id, call.agent, call.started_at, call.outcome, call.cause, call.duration_seconds) == (
        call_id,
        "parcel",
        NOON,
        "caller",
        "caller",
        30.0,
    )
    assert (row.heard_text, row.interrupted, row.endpoint_ms, row.response_ms) == (
        "It arrives",
        True,
        300,
        575,
    )
    assert (row.caller_confidence, row.caller_language) == (0.912, "en-US")
    assert row.caller_words == [
        {"text": "where", "started": 1.0, "ended": 1.25, "confidence": 0.988},
        {"text": "is", "started": 1.25, "ended": 1.4, "confidence": None},
    ]
    assert (event.name, event.detail) == ("barge_in", {"seconds": 1.5, "words": 3, "late": False})


async def test_events_of_many_calls_share_a_transaction(database: Database, store: Store) -> None:
    commits = 0

    def committed(_: Any) -> None:
        nonlocal commits
        commits += 1

    sqlalchemy_event.listen(database.engine.sync_engine, "commit", committed)
    await store(*(event for _ in range(30) for event in whole_call()))
    assert await count(database, "turns") == 60
    assert commits <= 3  # 150 events, and the count itself


async def test_events_are_stored_soon_without_flush(database: Database, recorder: Recorder) -> None:
    recorder.record(started())
    async with asyncio.timeout(2):
        while not await count(database, "calls"):
            await asyncio.sleep(0.05)


async def test_writing_a_batch_twice_changes_nothing(
    database: Database, presence: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to a commit is lost: the same batch is written again."""
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.01,))

    class LosesFirstAnswer(Database):
        lost = False

        @asynccontextmanager
        async def transaction(self) -> AsyncIterator[Any]:
            async with super().transaction() as session:
                yield session
            if not self.lost:
                self.lost = True
                raise ConnectionResetError

    flaky = LosesFirstAnswer(database.engine.url.render_as_string(hide_password=False))
    async with running(Recorder(flaky, presence.id)) as recorder:
        for event in whole_call(3):
            recorder.record(event)
        assert await recorder.flush(5) == 0
    await flaky.close()
    assert flaky.lost
    assert [await count(database, table) for table in ("calls", "turns", "call_events")] == [1, 3, 1]


class Proxy:
    """Stands between the product and the server, so that the server can go away and come back."""

    def __init__(self, folder: Path, server: Path) -> None:
        self._path = folder / ".s.PGSQL.5432"
        self._server = server / ".s.PGSQL.5432"
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def up(self) -> None:
        self._listener = await asyncio.start_unix_server(self._relay, self._path)

    async def down(self) -> None:
        assert self._listener
        self._listener.close()
        self._path.unlink(missing_ok=True)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_unix_connection(self._server)
        self._writers |= {writer, forth}

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with closing(sink):
                while data := await source.read(65_536):
                    sink.write(data)

        await asyncio.gather(pump(reader, forth), pump(back, writer), return_exceptions=True)
        self._writers -= {writer, forth}


async def test_an_outage_loses_nothing(
    database: Database, presence: Presence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.05,))
    url = normalise_url(database.engine.url.render_as_string(hide_password=False))
    proxy = Proxy(tmp_path, Path(str(url.query["host"])))
    await proxy.up()
    through = Database(url.set(query={"host": str(tmp_path)}).render_as_string(hide_password=False))
    async with running(Recorder(through, presence.id)) as recorder:
        for event in whole_call():
            recorder.record(event)
        assert await recorder.flush(5) == 0

        await proxy.down()
        with capture_logs() as logs:
            for _ in range(100):
                for event in whole_call():
                    recorder.record(event)
            assert await recorder.flush(0.5) == 500
            await proxy.up()
            assert await recorder.flush(10) == 0
    await through.close()
    await proxy.down()

    assert await count(database, "calls") == 101
    assert await count(database, "turns") == 202
    said = [log["event"] for log in logs]
    assert said.count("the database is away; events of calls wait") == 1
    assert said[-1] == "the database is back"
    assert "parcel" not in str(logs)


async def test_killed_connections_lose_nothing(
    database: Database, postgres: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.05,))
    other = Database(postgres)
    kill = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
    for _ in range(5):
        for event in whole_call():
            recorder.record(event)
        async with other.transaction() as session:
            await session.execute(kill, {"name": database.engine.url.database})
        await asyncio.sleep(0.1)
    assert await recorder.flush(5) == 0
    await other.close()
    assert await count(database, "turns") == 10


async def test_a_refused_event_costs_only_itself(database: Database, store: Store) -> None:
    good, bad = whole_call(), whole_call()
    call_id = bad[0].call_id
    before = lost("refused")
    with capture_logs() as logs:
        await store(*good, *bad[:-1], turn(call_id, 2, text="my secret\x00"), turn(call_id, 3), bad[-1])

    assert lost("refused") == before + 1
    async with database.transaction() as session:
        indexes = await session.scalars(text("SELECT index FROM turns WHERE call_id = :id"), {"id": call_id})
        assert sorted(indexes) == [0, 1, 3]
        assert await session.scalar(text("SELECT count(*) FROM calls WHERE ended_at IS NOT NULL")) == 2
    (log,) = (log for log in logs if log["log_level"] == "error")
    assert log["event_type"] == "TurnCompleted"
    assert log["sqlstate"] == "22021"
    assert "secret" not in str(logs)


async def test_a_refused_call_takes_its_events_with_it_and_no_others(
    database: Database, recorder: Recorder, store: Store
) -> None:
    refused, orphaned = lost("refused"), lost("orphaned")
    bad = started(agent_version=2**40)
    await store(*whole_call(), bad, turn(bad.call_id, 0))
    await store(turn(bad.call_id, 1), ended(bad.call_id), *whole_call())

    assert await count(database, "calls") == 2
    assert await count(database, "turns") == 4
    assert lost("refused") == refused + 1
    assert lost("orphaned") == orphaned + 3
    assert not recorder._storing._lost


async def test_events_of_a_call_that_was_never_stored(database: Database, store: Store) -> None:
    orphaned = lost("orphaned")
    stranger = uuid4()
    await store(turn(stranger), noted(stranger), *whole_call())
    await store(turn(stranger), ended(stranger))
    assert await count(database, "turns") == 2
    assert lost("orphaned") == orphaned + 3


async def test_values_that_cannot_be_written_are_refused_one_by_one(database: Database, store: Store) -> None:
    call = whole_call()
    call_id = call[0].call_id
    odd = noted(call_id)
    odd.detail["what"] = object()  # type: ignore[assignment]
    await store(call[0], turn(call_id, text="\ud83d"), turn(call_id, 2**40), odd, noted(call_id), *call[3:])
    assert await count(database, "call_events") == 2
    assert await count(database, "turns") == 0


async def test_overflow_is_counted_and_starts_and_ends_come_first(
    database: Database, presence: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUEUE_SIZE", 20)
    monkeypatch.setattr(module, "RESERVED", 5)
    overflow, orphaned = lost("overflow"), lost("orphaned")
    recorder = Recorder(database, presence.id)
    call, late = started(), started()
    with capture_logs() as logs:
        recorder.record(call)
        for index in range(30):
            recorder.record(turn(call.call_id, index))
        for _ in range(4):
            recorder.record(started())
        recorder.record(ended(call.call_id))
        recorder.record(late)
    assert lost("overflow") == overflow + 17
    assert [log["event"] for log in logs] == ["too many events of calls wait for the database; some are lost"]

    async with running(recorder):
        assert await recorder.flush(5) == 0
        recorder.record(turn(late.call_id))
        recorder.record(ended(late.call_id))
        assert await recorder.flush(5) == 0
    assert await count(database, "calls") == 5
    assert await count(database, "turns") == 14
    assert lost("orphaned") == orphaned + 2


async def test_recording_costs_little() -> None:
    """``record`` runs in the calls' own path: microseconds, whatever the database does."""
    recorder = Recorder(Database("postgresql://nobody@127.0.0.1:1/none"), uuid4())
    event = turn(uuid4())
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for _ in range(10_000):
        recorder.record(event)
    assert (loop.time() - begun) / 10_000 < 100e-6
