"""Moving the schema between versions with Alembic. Start-up imports this only when something is missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.errors import SchemaError
from app.db.session import Database, create_engine, describe

SCRIPTS = Path(__file__).resolve().parents[2] / "migrations"
LOCK_KEY = 0x7472756E6B  # of the advisory lock that one migration at a time holds
LOCK_SECONDS = 600.0  # to wait for another process's migration
LOCK_RETRY_SECONDS = 0.1

_log = structlog.get_logger(__name__)


def alembic_config() -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


async def upgrade(database: Database, revision: str = "head") -> None:
    """Apply what is missing up to ``revision``. Safe in several processes at once.

    Raises ``SchemaError``; then the migrations before the one that failed stay applied, and it can be tried
    again.
    """
    await _move(database, command.upgrade, revision)


async def downgrade(database: Database, revision: str) -> None:
    """Take migrations back to ``revision``, ``-1`` or ``base``; what their tables held is lost.

    Raises ``SchemaError``; then the migrations after the one that failed are taken back, and it can be tried
    again.
    """
    await _move(database, command.downgrade, revision)


async def _move(database: Database, step: Callable[[Config, str], None], revision: str) -> None:
    def run(connection: Connection) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        step(config, revision)

    engine = create_engine(database.engine.url, statement_seconds=None)  # a migration takes what it takes
    try:
        async with engine.connect() as connection, _alone(connection):
            await connection.run_sync(run)
    except CommandError as error:
        raise SchemaError(
            f"the database's schema cannot be moved to {revision}: {error}; "
            "a database that a newer version of Trunkline has used needs that version"
        ) from error
    except DBAPIError as error:
        raise SchemaError(
            f"a migration to {revision} failed ({' '.join(describe(error).values())}); those before it "
            "stay applied. Stop what uses the database and try again"
        ) from error
    finally:
        await engine.dispose()
    _log.info("schema moved", revision=revision)


@asynccontextmanager
async def _alone(connection: AsyncConnection) -> AsyncIterator[None]:
    """Hold the lock that one migration at a time holds.

    The lock is the connection's, since a migration may be several transactions, and it is asked for again and
    again: whoever waited in a transaction would be waited for by ``CREATE INDEX CONCURRENTLY``.
    """
    clock = asyncio.get_running_loop().time
    give_up = clock() + LOCK_SECONDS
    while True:
        taken = await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK_KEY})
        await connection.commit()
        if taken:
            break
        if clock() >= give_up:
            raise SchemaError(
                f"another process has been migrating the database for {LOCK_SECONDS} s; "
                "wait until it has finished and start again"
            )
        await asyncio.sleep(LOCK_RETRY_SECONDS)
    try:
        yield
    finally:
        await connection.rollback()
        await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY})
        await connection.commit()
