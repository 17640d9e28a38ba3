"""A PostgreSQL of the tests' own: one server per run, one database per test, copied from a template."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from app.db.embedded import EmbeddedPostgres
from app.db.migrate import upgrade
from app.db.session import Database, normalise_url

_numbers = count(1)


async def execute(server_url: str, statement: str) -> None:
    """Run one statement outside a transaction, as CREATE DATABASE needs it."""
    url = normalise_url(server_url)
    connection = await asyncpg.connect(user=url.username, database=url.database, host=str(url.query["host"]))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def with_database(server_url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return normalise_url(server_url).set(database=name).render_as_string(hide_password=False)


@contextmanager
def temporary_data_dir() -> Iterator[Path]:
    """A data directory for an embedded server.

    Not pytest's ``tmp_path``: every pytest that starts closes the folder above it to all but its user, and
    where tests run as root the server runs as somebody else.
    """
    with tempfile.TemporaryDirectory(prefix="trunkline-test-") as folder:
        yield Path(folder)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A new data directory for an embedded server, for one test."""
    with temporary_data_dir() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a running server with an empty database."""
    with temporary_data_dir() as folder:
        yield from _serve(EmbeddedPostgres(folder))


def _serve(server: EmbeddedPostgres) -> Iterator[str]:
    url = asyncio.run(server.start())
    for statement in ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"):  # the data need not last
        asyncio.run(execute(url, statement))
    yield url
    asyncio.run(server.stop())


@pytest.fixture(scope="session")
def template(postgres: str) -> str:
    """Name of a database with the newest schema, to be copied."""
    name = "template"

    async def make() -> None:
        await execute(postgres, f"CREATE DATABASE {name}")
        database = Database(with_database(postgres, name))
        await upgrade(database)
        await database.close()

    asyncio.run(make())
    return name


@pytest.fixture
async def database_url(postgres: str, template: str) -> AsyncIterator[str]:
    """URL of a database with the newest schema and no rows, for one test."""
    name = f"test_{next(_numbers)}"
    await execute(postgres, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield with_database(postgres, name)
    await execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def empty_database_url(postgres: str) -> AsyncIterator[str]:
    """URL of a database with nothing in it, for one test."""
    name = f"test_{next(_numbers)}"
    await execute(postgres, f"CREATE DATABASE {name}")
    yield with_database(postgres, name)
    await execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A started database with the newest schema and no rows."""
    database = Database(database_url)
    await database.start()
    yield database
    await database.close()
