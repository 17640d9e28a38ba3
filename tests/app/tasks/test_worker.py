"""The worker with its broker of files, as an operator starts it."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.calls.presence import Presence
from app.calls.writing.rows import Entry, write_entries
from app.db.session import Database
from app.tasks.celery import configuration
from app.tasks.clock import DELIVER_SECONDS
from app.webhooks import repository
from config.settings import Settings
from tests.app.calls.events import started, whole_call
from tests.app.tasks.conftest import Stored
from tests.app.webhooks.receiver import receiving

WORKER = ("-m", "app.cli", "worker")
ENDPOINT = """
    INSERT INTO webhook_endpoints (id, url, title, secret, events, enabled)
    VALUES (gen_random_uuid(), :url, '', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', '{call.ended}', true)
"""


@pytest.fixture
def environment(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Of a worker: the test's database, and a data directory of its own."""
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database.engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))
    return monkeypatch


async def start(*command: str) -> Process:
    return await asyncio.create_subprocess_exec(sys.executable, *command, stdout=PIPE, stderr=STDOUT)


@asynccontextmanager
async def working() -> AsyncIterator[None]:
    """A worker runs until the block ends, and ends in order then."""
    worker = await start(*WORKER)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            worker.terminate()
        said, _ = await worker.communicate()
    assert worker.returncode == 0, said.decode()


async def until(there: Callable[[], Awaitable[object]], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not await there():
            await asyncio.sleep(0.1)


@pytest.mark.usefixtures("environment")
async def test_it_closes_abandoned_calls(database: Database) -> None:
    presence = Presence(database)
    await presence.start()
    async with database.transaction() as session:
        await write_entries(session, [Entry(1, started())], presence.id)
        await session.execute(text("UPDATE instances SET stopped_at = now()"))

    async def outcome() -> object:
        async with database.transaction() as session:
            return await session.scalar(text("SELECT outcome FROM calls"))

    async with working():
        await until(outcome)
    assert await outcome() == "us"


@asynccontextmanager
async def working_with_silent_model(
    environment: pytest.MonkeyPatch,
) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """A worker whose language model does not answer, until the block ends: who is connected to that."""
    connected: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: connected.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        environment.setenv("TRUNKLINE_ENGINES__OPENAI__BASE_URL", f"http://127.0.0.1:{port}/v1")
        async with working():
            yield connected
            server.close()
            for writer in connected:
                writer.close()


async def test_webhooks_do_not_wait_behind_the_work_after_calls(
    database: Database, store: Stored, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    calls, at_once = 20, 2
    for _ in range(calls):
        await store(*whole_call(1))
    environment.setenv("TRUNKLINE_AFTER_CALLS__CONCURRENCY", str(at_once))
    environment.setenv("TRUNKLINE_AFTER_CALLS__LLM", "openai_compatible")
    environment.setenv("TRUNKLINE_ENGINES__OPENAI__MODEL", "slow")
    environment.setenv("TRUNKLINE_WEBHOOKS__ALLOW", '["127.0.0.1"]')
    async with receiving() as customer, working_with_silent_model(environment) as connected:

        async def busy() -> object:
            return connected

        async def told() -> object:
            return customer.requests

        await until(busy)
        async with database.transaction() as session:
            await session.execute(text(ENDPOINT), {"url": customer.url})
            endpoints = await repository.endpoints_for(session, "call.ended")
            await repository.tell(session, endpoints, "call.ended", uuid4(), {})
        await until(told, DELIVER_SECONDS + 2)
        waiting = list((tmp_path / "broker" / "messages").iterdir())
        assert len(waiting) >= calls - 2 * at_once  # those that are worked on, and as many beforehand


@pytest.mark.usefixtures("environment")
async def test_it_ends_when_its_clock_broke() -> None:
    broken = (
        "import app.tasks.worker as worker\n"
        "from config.settings import Settings\n"
        "async def keep_time(tools): raise MemoryError('of the clock')\n"
        "worker.keep_time = keep_time\n"
        "worker.run_worker(Settings())\n"
    )
    worker = await start("-c", broken)
    async with asyncio.timeout(30):
        said, _ = await worker.communicate()
    assert worker.returncode == 1
    assert b"the worker's clock broke" in said


def test_messages_are_json_and_a_given_broker_is_used(tmp_path: Path) -> None:
    given = configuration(Settings(data_dir=tmp_path, broker_url="redis://broker:6379/0"))
    assert given["broker_url"] == "redis://broker:6379/0"
    assert given["accept_content"] == ["json"]
    assert not (tmp_path / "broker").exists()

    files = configuration(Settings(data_dir=tmp_path))
    folder = Path(files["broker_transport_options"]["data_folder_in"])
    assert folder.is_relative_to(tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700
