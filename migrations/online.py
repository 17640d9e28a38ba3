"""Steps of migrations that leave large tables usable: no lock that stops calls for longer than a moment.

Those that take long (an index, the check of a constraint) run outside a transaction and take only locks that
let rows be read and written. A migration that fails between them is run again from its beginning, so each may
find its work done. See "ALTER TABLE" and "Building Indexes Concurrently" in PostgreSQL's manual.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import DBAPIError

LOCK_SECONDS = 2.0  # that queries wait behind a migration that waits for a lock
LOCK_TRIES = 30
_LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True, slots=True)
class Index:
    """An index of a partitioned table; ``where`` makes it a partial one, ``new`` one that did not exist."""

    name: str
    columns: str
    where: str = ""
    new: bool = False


@dataclass(frozen=True, slots=True)
class Partitioned:
    """A table, the time that decides on its partition, its keys before and after."""

    name: str
    time: str
    old_key: str
    new_key: str
    indexes: tuple[Index, ...] = ()


def month_ahead() -> tuple[str, str]:
    """Where a first partition ends, and its label: a month's start (UTC), a week to a month ahead."""
    row = op.get_bind().execute(sa.text(_MONTH_AHEAD)).one()
    return f"{row.bound:%Y-%m-%d} 00:00:00+00", f"{row.bound:%Y_%m}"


_MONTH_AHEAD = "SELECT date_trunc('month', now() AT TIME ZONE 'UTC' + interval '1 month 7 days') AS bound"


def first_partition(table: str) -> None:
    """The partition of everything until then."""
    bound, label = month_ahead()
    op.execute(
        f"CREATE TABLE {table}_before_{label} PARTITION OF {table} FOR VALUES FROM (MINVALUE) TO ('{bound}')"
    )


def create_index(name: str, table: str, columns: str, *, unique: bool = False, where: str = "") -> None:
    """Make an index beside running calls. To be called in ``autocommit_block``."""
    valid = op.get_bind().scalar(
        sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"), {"name": name}
    )
    if valid:
        return
    if valid is not None:  # an earlier run was interrupted
        op.execute(f"DROP INDEX CONCURRENTLY {name}")
    condition = f" WHERE {where}" if where else ""
    op.execute(
        f"CREATE {'UNIQUE ' if unique else ''}INDEX CONCURRENTLY {name} ON {table} ({columns}){condition}"
    )


def add_check(name: str, table: str, condition: str) -> None:
    """Add a constraint, then check the rows there are. To be called in ``autocommit_block``."""
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
    op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def lock_tables(*tables: str) -> None:
    """Have the tables for this transaction alone; between tries others go on with theirs.

    Raises SQLAlchemy's ``DBAPIError`` (55P03) when they could not be had for a minute.
    """
    connection = op.get_bind()
    connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS * 1000:.0f}ms'"))
    for left in reversed(range(LOCK_TRIES)):
        try:
            with connection.begin_nested():
                connection.execute(sa.text(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE"))
        except DBAPIError as error:
            if left == 0 or getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            time.sleep(LOCK_SECONDS / 4)
        else:
            return
