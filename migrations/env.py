"""How Alembic reaches the database: through a connection it is given, or by the settings on its own."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, text

from app.db.start import open_database
from config.settings import Settings
from migrations.tables import METADATA, belongs_to

LOCK_TIMEOUT = "5s"  # a migration that waits for a lock makes every later query of the table wait, too


def migrate(connection: Connection) -> None:
    """Run what Alembic was asked for on ``connection``."""
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        compare_server_default=True,
        include_name=belongs_to(connection),
        transaction_per_migration=True,  # some work outside one, beside running calls
    )
    with context.begin_transaction():
        context.run_migrations()


async def migrate_by_settings() -> None:
    """Open the database that the settings name and migrate it."""
    settings = Settings()
    url = settings.database_url.get_secret_value()
    async with (
        open_database(url, settings.data_dir, migrate=False) as database,
        database.engine.connect() as connection,
    ):
        await connection.run_sync(migrate)


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    asyncio.run(migrate_by_settings())
