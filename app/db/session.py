"""Connections and transactions: one transaction per request or task."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import orjson
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from app.db.errors import DatabaseUnavailable, DatabaseUrlError

POOL_SIZE = 5
POOL_OVERFLOW = 10
CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 15.0

_SCHEMES = frozenset({"postgresql", "postgres", "postgresql+asyncpg"})
_PARAMETERS = frozenset({"host", "port", "ssl"})
_DATA_FAULTS = frozenset({"22", "23"})  # SQLSTATE classes: data exception, integrity constraint violation


def normalise_url(url: str | URL) -> URL:
    """The URL as the asyncpg driver takes it.

    Accepts ``postgresql://``, ``postgres://`` and ``postgresql+asyncpg://``, and libpq's ``sslmode`` for
    ``ssl``. Raises ``DatabaseUrlError``, whose text never holds the password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseUrlError(
            "TRUNKLINE_DATABASE_URL cannot be read; write it as postgresql://name:password@host:5432/database"
        ) from None
    if parsed.drivername not in _SCHEMES:
        raise DatabaseUrlError(
            f"TRUNKLINE_DATABASE_URL begins with {parsed.drivername}://; only postgresql:// is supported"
        )
    query = dict(parsed.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    unknown = sorted(query.keys() - _PARAMETERS)
    if unknown:
        raise DatabaseUrlError(
            f"TRUNKLINE_DATABASE_URL has the parameter {unknown[0]!r}; "
            "only host, port and sslmode are supported"
        )
    if not parsed.database:
        raise DatabaseUrlError("TRUNKLINE_DATABASE_URL names no database; add it after the host: /trunkline")
    return parsed.set(drivername="postgresql+asyncpg", query=query)


def public_url(url: str) -> str:
    """The URL without its password, for people to read."""
    return normalise_url(url).render_as_string(hide_password=True)


def _to_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def create_engine(
    url: str | URL, *, pool_size: int = POOL_SIZE, statement_seconds: float | None = STATEMENT_SECONDS
) -> AsyncEngine:
    """An engine whose errors never show parameters. ``statement_seconds``: then a statement is given up."""
    return create_async_engine(
        normalise_url(url),
        pool_size=pool_size,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=CONNECT_SECONDS,
        pool_pre_ping=True,  # a restarted server costs no request
        hide_parameters=True,
        json_serializer=_to_json,
        json_deserializer=orjson.loads,
        connect_args={
            "timeout": CONNECT_SECONDS,
            "command_timeout": statement_seconds,
            "server_settings": {"application_name": "trunkline", "timezone": "UTC"},
        },
    )


class Database:
    """The process's connections to one database."""

    def __init__(self, url: str, *, pool_size: int = POOL_SIZE) -> None:
        """Raises ``DatabaseUrlError``. Nothing is opened before ``start``."""
        self._url = url
        self._engine = create_engine(url, pool_size=pool_size)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    @property
    def url(self) -> str:
        """Where the database is, without its password."""
        return public_url(self._url)

    @property
    def engine(self) -> AsyncEngine:
        """For what is no transaction of the product's, such as migrations."""
        return self._engine

    def connect_arguments(self) -> dict[str, Any]:
        """For ``asyncpg.connect``: a connection besides those of the pool, such as one that listens."""
        url = normalise_url(self._url)
        _, arguments = self._engine.dialect.create_connect_args(url)
        known = {"timeout": CONNECT_SECONDS, "server_settings": {"application_name": "trunkline-listener"}}
        return {**arguments, **known}

    async def start(self) -> None:
        """Open a connection, so that a wrong address is found at start. Raises ``DatabaseUnavailable``."""
        try:
            async with self._engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            reason = " ".join(describe(error).values()).strip()
            raise DatabaseUnavailable(
                f"the database at {self.url} does not answer ({reason}); "
                "check TRUNKLINE_DATABASE_URL, or leave it empty to use the embedded database"
            ) from None

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def unhurried(self) -> AsyncIterator[AsyncConnection]:
        """A connection of its own, for what takes what it takes; each statement is a transaction."""
        engine = create_engine(self._url, pool_size=1, statement_seconds=None)
        try:
            async with engine.connect() as connection:
                yield await connection.execution_options(isolation_level="AUTOCOMMIT")
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        async with self._sessions() as session, session.begin():
            yield session


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's five-character code of an error, or ``""`` where the server said nothing."""
    return getattr(_original(error), "sqlstate", None) or ""


def describe(error: BaseException) -> dict[str, str]:
    """An error for the log and for people. Its text stays out: it may quote what a caller said."""
    original = _original(error)
    return {"error": type(original.__cause__ or original).__name__, "sqlstate": sqlstate(error)}


def is_away(error: BaseException) -> bool:
    """Whether the database could not be reached, or could do nothing now, and the same may work later.

    Not so: it refused the data, or the error is not the database's.
    """
    if isinstance(error, DBAPIError | asyncpg.PostgresError | asyncpg.InterfaceError):
        return sqlstate(error)[:2] not in _DATA_FAULTS
    return isinstance(error, OSError | PoolTimeoutError)


def _original(error: BaseException) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
