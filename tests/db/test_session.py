"""Database URLs, connections and transactions."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db import session
from app.db.errors import DatabaseError, DatabaseUnavailable, DatabaseUrlError
from app.db.session import Database, describe, is_away, normalise_url, public_url, sqlstate
from app.db.start import open_database


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgresql://a:b@h:5433/d", "postgresql+asyncpg://a:b@h:5433/d"),
        ("postgres://a:b@h/d", "postgresql+asyncpg://a:b@h/d"),
        ("postgresql+asyncpg://a@/d?host=/run/pg", "postgresql+asyncpg://a@/d?host=%2Frun%2Fpg"),
        ("postgresql://a:p%40ss@h/d?sslmode=require", "postgresql+asyncpg://a:p%40ss@h/d?ssl=require"),
    ],
)
def test_urls(given: str, used: str) -> None:
    assert normalise_url(given).render_as_string(hide_password=False) == used


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("mysql://a:sesame@h/d", "begins with mysql://; only postgresql:// is supported"),
        ("postgresql+psycopg://a:sesame@h/d", "only postgresql://"),
        ("sqlite:///sesame.db", "only postgresql://"),
        ("nonsense sesame", "write it as postgresql://"),
        ("postgresql://a:sesame@h:port/d", "write it as postgresql://"),
        ("postgresql://a:sesame@h", "names no database"),
        ("postgresql://a:sesame@h/d?pool=1", "has the parameter 'pool'"),
    ],
)
def test_wrong_urls_are_explained_without_the_password(given: str, said: str) -> None:
    with pytest.raises(DatabaseUrlError) as error:
        Database(given)
    assert said in str(error.value)
    assert "TRUNKLINE_DATABASE_URL" in str(error.value)
    assert "sesame" not in str(error.value)


def test_the_public_url_hides_the_password() -> None:
    assert public_url("postgresql://a:sesame@h/d") == "postgresql+asyncpg://a:***@h/d"


async def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"a:\*\*\*@127.0.0.1:1/d does not answer"):
        async with open_database("postgresql://a:sesame@127.0.0.1:1/d", tmp_path):
            pass


async def test_a_database_that_is_not_there(database_url: str, tmp_path: Path) -> None:
    missing = normalise_url(database_url).set(database="missing").render_as_string(hide_password=False)
    with pytest.raises(DatabaseError, match="InvalidCatalogNameError 3D000"):
        async with open_database(missing, tmp_path):
            pass


async def test_a_transaction_is_kept_whole_or_not_at_all(database: Database) -> None:
    insert = text("INSERT INTO agents (name, active_version) VALUES (:name, 1)")

    async def fail() -> None:
        async with database.transaction() as session:
            await session.execute(insert, {"name": "lost"})
            raise KeyError

    async with database.transaction() as session:
        await session.execute(insert, {"name": "kept"})
    with pytest.raises(KeyError):
        await fail()
    async with database.transaction() as session:
        assert list(await session.scalars(text("SELECT name FROM agents"))) == ["kept"]


async def test_errors_are_told_apart_and_quote_no_data(database: Database) -> None:
    async def provoke(statement: str, **parameters: object) -> DBAPIError:
        with pytest.raises(DBAPIError) as error:
            async with database.transaction() as session:
                await session.execute(text(statement), parameters)
        return error.value

    refused = await provoke("INSERT INTO agents VALUES (:name, 1), (:name, 1)", name="a secret")
    assert (is_away(refused), sqlstate(refused)) == (False, "23505")
    assert describe(refused) == {"error": "UniqueViolationError", "sqlstate": "23505"}

    wrong = await provoke("SELECT CAST(:number AS int)", number=2**40)
    assert (is_away(wrong), sqlstate(wrong)[:2]) == (False, "22")

    assert is_away(await provoke("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert is_away(ConnectionRefusedError())
    assert not is_away(KeyError())


async def test_json_is_stored_as_it_is(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("INSERT INTO agents VALUES ('a', 1)"))
        await session.execute(
            text("INSERT INTO agent_versions VALUES ('a', 1, CAST(:profile AS jsonb), 'x')"),
            {"profile": '{"greeting": "Grüß Gott 你好", "n": 1.5}'},
        )
        found = await session.scalar(text("SELECT profile FROM agent_versions"))
    assert found == {"greeting": "Grüß Gott 你好", "n": 1.5}


async def test_an_unhurried_connection_gives_no_statement_up(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "create_engine", partial(session.create_engine, statement_seconds=0.1))
    database, long = Database(database_url), text("SELECT pg_sleep(0.3)")
    with pytest.raises(TimeoutError):
        async with database.transaction() as transaction:
            await transaction.execute(long)
    async with database.unhurried() as connection:
        await connection.execute(long)
    await database.close()
