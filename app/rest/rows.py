"""Rows that are resources of the admin API: found, locked, and counted in revisions."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import BigInteger, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.errors import NotFound

B = TypeVar("B", bound=Base)


class RevisedRow(Base):
    """A row that has an ``ETag``. ``revision`` counts its changes.

    It begins with a million of the row's own, so that what is deleted and made anew has none of the tags that
    it had before.
    """

    __abstract__ = True

    revision: Mapped[int] = mapped_column(BigInteger, server_default=text("nextval('revisions')"))


async def find_row(session: AsyncSession, kind: type[B], key: object, what: str) -> B:
    """The row with a primary key. ``what`` it is, for people. Raises ``NotFound``."""
    return _found(await session.get(kind, key), key, what)


async def lock_row(session: AsyncSession, kind: type[B], key: object, what: str) -> B:
    """The same, as it is now; nobody else changes it in this transaction. Raises ``NotFound``."""
    return _found(await session.get(kind, key, with_for_update=True, populate_existing=True), key, what)


def _found(row: B | None, key: object, what: str) -> B:
    if row is None:
        raise NotFound(f"there is no {what} {str(key)!r}")
    return row
