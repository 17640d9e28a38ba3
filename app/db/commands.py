"""What ``trunkline db`` does. Each opens the database for itself; all raise ``DatabaseError``."""

from __future__ import annotations

from pathlib import Path

from app.db.migrate import downgrade as move_down
from app.db.migrate import upgrade as move_up
from app.db.start import open_database, schema_version


async def upgrade(url: str, data_dir: Path, revision: str = "head") -> str | None:
    """Bring the schema to ``revision``; returns the version it is at then."""
    async with open_database(url, data_dir, migrate=False) as database:
        await move_up(database, revision)
        return await schema_version(database)


async def downgrade(url: str, data_dir: Path, revision: str) -> str | None:
    """Take the schema back to ``revision``, ``-1`` or ``base``; returns the version it is at then."""
    async with open_database(url, data_dir, migrate=False) as database:
        await move_down(database, revision)
        return await schema_version(database)


async def current(url: str, data_dir: Path) -> str | None:
    """The migration that the schema is at; ``None`` where it is empty."""
    async with open_database(url, data_dir, migrate=False) as database:
        return await schema_version(database)


async def url(url: str, data_dir: Path) -> str:
    """Where the database is, without its password."""
    async with open_database(url, data_dir, migrate=False) as database:
        return database.url
