"""The schema: up, down, the same as the models, and safe when two processes start at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from app.db import commands, migrate
from app.db.base import SCHEMA
from app.db.errors import SchemaError
from app.db.migrate import alembic_config, downgrade, upgrade
from app.db.session import Database
from app.db.start import open_database, schema_version
from migrations.tables import METADATA, belongs_to


async def test_models_and_migrations_agree(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_name": belongs_to(connection),
            },
        )
        return list(compare_metadata(context, METADATA))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


def test_the_code_knows_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == SCHEMA


async def test_downgrade_leaves_nothing_and_can_be_undone(database: Database) -> None:
    await downgrade(database, "base")
    async with database.engine.connect() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert tables == ["alembic_version"]
    assert await schema_version(database) is None

    await upgrade(database)
    assert await schema_version(database) == SCHEMA


async def test_turns_of_an_older_version_have_no_placed_words(database: Database) -> None:
    await downgrade(database, "0002")
    async with database.transaction() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))  # no call is needed
        await session.execute(
            text(
                "INSERT INTO turns (call_id, index, at, caller_text, reply_text, heard_text, interrupted)"
                " VALUES (gen_random_uuid(), 0, now(), 'hello', '', '', false)"
            )
        )
    await upgrade(database)
    async with database.transaction() as session:
        columns = "caller_text, caller_words, caller_confidence, caller_language"
        row = (await session.execute(text(f"SELECT {columns} FROM turns"))).one()
    assert tuple(row) == ("hello", [], None, None)


async def test_processes_that_start_at_once_migrate_once(empty_database_url: str, tmp_path: Path) -> None:
    async def start() -> str | None:
        async with open_database(empty_database_url, tmp_path) as database:
            return await schema_version(database)

    assert await asyncio.gather(*(start() for _ in range(4))) == [SCHEMA] * 4


async def test_a_schema_of_a_newer_version_is_refused(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaError, match="newer version of Trunkline"):
        await upgrade(database)


async def test_a_failed_migration_changes_nothing(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    try:
        async with database.transaction() as session:
            await session.execute(text("CREATE TABLE turns (unrelated int)"))
        with pytest.raises(SchemaError, match="those before it stay applied"):
            await upgrade(database)
        async with database.engine.connect() as connection:
            tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        assert tables == ["turns"]
    finally:
        await database.close()


async def test_commands(empty_database_url: str, tmp_path: Path) -> None:
    assert await commands.current(empty_database_url, tmp_path) is None
    assert await commands.upgrade(empty_database_url, tmp_path) == SCHEMA
    assert await commands.current(empty_database_url, tmp_path) == SCHEMA
    assert (await commands.url(empty_database_url, tmp_path)).startswith("postgresql+asyncpg://postgres@/")
    assert await commands.downgrade(empty_database_url, tmp_path, "base") is None


async def test_a_migration_waits_for_another_and_says_when_it_waited_too_long(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.1)
    async with database.transaction() as session:
        await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": migrate.LOCK_KEY})
        with pytest.raises(SchemaError, match="another process has been migrating"):
            await upgrade(database)
    await upgrade(database)
