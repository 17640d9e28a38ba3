"""The worker with its broker of files, as an operator starts it, closes abandoned calls."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text

from app.calls.presence import Presence
from app.calls.writing.rows import Entry, write_entries
from app.db.session import Database
from app.tasks.celery import celery, configuration
from config.settings import Settings
from tests.app.calls.events import started


async def test_a_worker_closes_them(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence = Presence(database)
    await presence.start()
    async with database.transaction() as session:
        await write_entries(session, [Entry(1, started())], presence.id)
        await session.execute(text("UPDATE instances SET heartbeat_at = now() - interval '1 minute'"))
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database.engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))
    configured = configuration(Settings())
    with celery.connection_for_write(
        configured["broker_url"], transport_options=configured["broker_transport_options"]
    ) as connection:
        celery.send_task("close_abandoned", connection=connection)

    arguments = ("-A", "app.tasks.celery", "worker", "-P", "solo", "--without-gossip", "--without-mingle")
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-m", "celery", *arguments, stdout=DEVNULL, stderr=PIPE
    )
    try:
        async with asyncio.timeout(30), database.transaction() as session:
            query = text("SELECT outcome FROM calls")
            while await session.scalar(query) is None:
                await asyncio.sleep(0.1)
            assert await session.scalar(query) == "us"
    finally:
        with suppress(ProcessLookupError):
            worker.terminate()
        _, said = await worker.communicate()
    assert worker.returncode == 0, said.decode()


def test_messages_are_json_and_a_given_broker_is_used(tmp_path: Path) -> None:
    given = configuration(Settings(data_dir=tmp_path, broker_url="redis://broker:6379/0"))
    assert given["broker_url"] == "redis://broker:6379/0"
    assert given["accept_content"] == ["json"]
    assert not (tmp_path / "broker").exists()

    files = configuration(Settings(data_dir=tmp_path))
    folder = Path(files["broker_transport_options"]["data_folder_in"])
    assert folder.is_relative_to(tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700
