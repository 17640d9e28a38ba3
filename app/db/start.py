"""Opening the database of a process: embedded or given, with the schema that the code needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from app.db.base import SCHEMA
from app.db.embedded import EmbeddedPostgres
from app.db.partitions import make_partitions
from app.db.session import POOL_SIZE, Database


@asynccontextmanager
async def open_database(
    url: str, data_dir: Path, *, migrate: bool = True, pool_size: int = POOL_SIZE
) -> AsyncIterator[Database]:
    """The database at ``url``, or where it is empty the embedded one under ``data_dir``; closed at the end.

    ``migrate``: bring the schema up to date first, its partitions too. Raises ``DatabaseError``.
    """
    embedded = None if url else EmbeddedPostgres(data_dir)
    try:
        database = Database(await embedded.start() if embedded else url, pool_size=pool_size)
        try:
            await database.start()
            if migrate and await schema_version(database) != SCHEMA:
                # Alembic takes 0.15 s to import, and most starts find nothing to do.
                from app.db.migrate import upgrade  # noqa: PLC0415

                await upgrade(database)
            if migrate:
                async with database.transaction() as session:
                    await make_partitions(session)
            yield database
        finally:
            await database.close()
    finally:
        if embedded:
            await embedded.stop()


async def schema_version(database: Database) -> str | None:
    """The migration that the database is at; ``None`` where none was applied."""
    try:
        async with database.transaction() as session:
            version: str | None = await session.scalar(text("SELECT version_num FROM alembic_version"))
            return version
    except ProgrammingError:  # no such table
        return None
