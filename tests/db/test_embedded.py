"""The embedded server: made once, shared, stopped by the last, and up again after whatever happened."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from app.db.embedded import EmbeddedPostgres
from app.db.errors import DatabaseUnavailable
from app.db.session import normalise_url
from app.db.start import open_database, schema_version
from tests.db_fixtures import temporary_data_dir

HOLDER = """
import asyncio, sys, pathlib
from app.db.embedded import EmbeddedPostgres
async def main():
    server = EmbeddedPostgres(pathlib.Path(sys.argv[1]))
    print(await server.start(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()
asyncio.run(main())
"""


def hold(data_dir: Path) -> subprocess.Popen[str]:
    """Another process that uses the server until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline().startswith("postgresql+asyncpg://")
    return process


async def ask(url: str) -> int:
    parts = normalise_url(url)
    connection = await asyncpg.connect(
        user=parts.username, database=parts.database, host=str(parts.query["host"]), timeout=5
    )
    try:
        found: int = await connection.fetchval("SELECT pg_backend_pid()")
    finally:
        await connection.close()
    return found


def postmaster(data_dir: Path) -> int | None:
    try:
        return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
    except FileNotFoundError:
        return None


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A data directory whose database was made before."""

    async def make(folder: Path) -> None:
        async with open_database("", folder):
            pass

    with temporary_data_dir() as folder:
        asyncio.run(make(folder))
        yield folder


@pytest.fixture
async def used_dir(made: Path) -> AsyncIterator[Path]:
    yield made
    assert postmaster(made) is None


async def test_a_later_start_finds_everything_in_place(used_dir: Path) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    with capture_logs() as logs:
        async with open_database("", used_dir) as database:
            took = loop.time() - begun
            assert await schema_version(database)
    assert logs == []  # neither the database nor the schema was made again
    assert took < 2.0  # 0.15 s on an idle machine


async def test_the_last_to_leave_stops_the_server(used_dir: Path) -> None:
    first, second = EmbeddedPostgres(used_dir), EmbeddedPostgres(used_dir)
    url, same = await asyncio.gather(first.start(), second.start())
    assert url == same
    running = postmaster(used_dir)
    await first.stop()
    assert postmaster(used_dir) == running
    assert await ask(url)
    await second.stop()
    assert postmaster(used_dir) is None
    await second.stop()  # nothing happens


async def test_processes_share_the_server(used_dir: Path) -> None:
    other = hold(used_dir)
    ours = EmbeddedPostgres(used_dir)
    url = await ours.start()
    other.communicate()
    assert await ask(url)
    await ours.stop()


async def test_a_killed_process_leaves_a_server_that_is_joined_and_stopped(used_dir: Path) -> None:
    other = hold(used_dir)
    running = postmaster(used_dir)
    other.kill()
    other.communicate()
    assert running
    ours = EmbeddedPostgres(used_dir)
    url = await ours.start()
    assert postmaster(used_dir) == running
    assert await ask(url)
    await ours.stop()


async def test_a_killed_server_comes_up_again(used_dir: Path) -> None:
    server = EmbeddedPostgres(used_dir)
    await server.start()
    killed = postmaster(used_dir)
    assert killed
    os.kill(killed, signal.SIGKILL)
    await asyncio.sleep(0.3)  # its processes see it and end
    await server.stop()
    url = await server.start()
    assert await ask(url)
    assert postmaster(used_dir) != killed
    await server.stop()


async def test_a_pid_that_another_program_has_now_is_no_hindrance(used_dir: Path) -> None:
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (used_dir / "postgres" / name).write_text(
            f"{os.getpid()}\n{used_dir / 'postgres'}\n1700000000\n5432\n"
        )
    server = EmbeddedPostgres(used_dir)
    assert await ask(await server.start())
    await server.stop()


async def test_a_first_start_that_was_killed_is_begun_again(data_dir: Path) -> None:
    (data_dir / "postgres.new").mkdir()
    (data_dir / "postgres.new" / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(data_dir)
    assert await ask(await server.start())
    await server.stop()
    assert not (data_dir / "postgres.new").exists()


@pytest.mark.parametrize("after", [0.0, 0.05, 0.5])
async def test_a_first_start_that_is_cancelled_leaves_no_server(data_dir: Path, after: float) -> None:
    async def serve() -> None:
        async with open_database("", data_dir):
            await asyncio.sleep(60.0)

    serving = asyncio.create_task(serve())
    await asyncio.sleep(after)
    serving.cancel()
    await asyncio.wait([serving])
    await asyncio.get_running_loop().shutdown_default_executor()  # what threads still do is done
    assert postmaster(data_dir) is None


async def test_a_path_too_long_for_a_socket(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir / ("long" * 30))
    url = await server.start()
    assert await ask(url)
    folder = str(normalise_url(url).query["host"])
    assert os.stat(folder).st_mode & 0o777 == 0o700  # noqa: PTH116
    await server.stop()
    os.rmdir(folder)  # noqa: PTH106


async def test_a_database_of_another_version_is_named(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir()
    (data_dir / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(DatabaseUnavailable, match="made by PostgreSQL 16, and this is 18; dump it"):
        await EmbeddedPostgres(data_dir).start()


async def test_a_data_directory_that_cannot_be_made(data_dir: Path) -> None:
    (data_dir / "file").touch()
    with pytest.raises(DatabaseUnavailable, match="TRUNKLINE_DATA_DIR"):
        await EmbeddedPostgres(data_dir / "file" / "data").start()


async def test_a_server_that_cannot_start_says_where_to_look(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    await server.start()
    await server.stop()
    (data_dir / "postgres" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(DatabaseUnavailable, match=r"pg_ctl failed in .*server\.log"):
        await server.start()
