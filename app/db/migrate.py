"""Moving the schema between versions with Alembic. Start-up imports this only when something is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.db.errors import SchemaError
from app.db.session import Database, create_engine, describe

SCRIPTS = Path(__file__).resolve().parents[2] / "migrations"
LOCK_KEY = 0x7472756E6B  # of the advisory lock that one migration at a time holds
LOCK_SECONDS = 60  # to wait for another process's migration

_log = structlog.get_logger(__name__)


def alembic_config() -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


async def upgrade(database: Database, revision: str = "head") -> None:
    """Apply what is missing up to ``revision``, in one transaction. Safe in several processes at once.

    Raises ``SchemaError``; then nothing was changed.
    """
    await _move(database, command.upgrade, revision)


async def downgrade(database: Database, revision: str) -> None:
    """Take migrations back to ``revision``, ``-1`` or ``base``; what their tables held is lost.

    Raises ``SchemaError``; then nothing was changed.
    """
    await _move(database, command.downgrade, revision)


async def _move(database: Database, step: Callable[[Config, str], None], revision: str) -> None:
    def run(connection: Connection) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        step(config, revision)

    engine = create_engine(database.engine.url, statement_seconds=None)  # a migration takes what it takes
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS * 1000:.0f}ms'"))
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
            await connection.run_sync(run)
    except CommandError as error:
        raise SchemaError(
            f"the database's schema cannot be moved to {revision}: {error}; "
            "a database that a newer version of Trunkline has used needs that version"
        ) from error
    except DBAPIError as error:
        raise SchemaError(
            f"a migration to {revision} failed ({' '.join(describe(error).values())}); nothing was "
            "changed. Stop what uses the database and try again"
        ) from error
    finally:
        await engine.dispose()
    _log.info("schema moved", revision=revision)
