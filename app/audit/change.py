"""A change of a resource: its transaction, who makes it, and what they know of it.

Services take a ``Change``; routes a ``RequestedChange``, which is one that was asked for over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request, Response
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.service import Action, Actor, Who, write_audit
from app.db.base import Base
from app.db.notify import notify
from app.db.request import Transaction
from app.errors import Conflict
from app.rest.changes import CHANGES
from app.rest.rows import RevisedRow, lock_row
from app.rest.versions import IfMatch, IfMatchOptional, T, etag, expect, expect_if_given, location

R = TypeVar("R", bound=RevisedRow)


def _whatever(_: int) -> None:
    """Any revision will do."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change by ``who`` in one transaction. ``check`` is given the revision of what is changed, and raises
    ``PreconditionFailed``, ``PreconditionRequired`` where they do not know that one."""

    session: AsyncSession
    who: Actor
    check: Callable[[int], None] = _whatever

    async def add(self, row: Base, taken: str) -> None:
        """Store a new row. Raises ``Conflict`` with the detail ``taken`` where there is one with its key."""
        self.session.add(row)
        try:
            await self.session.flush()
        except IntegrityError:
            raise Conflict(taken) from None
        await self.session.refresh(row)

    async def lock(self, kind: type[R], key: object, what: str) -> R:
        """The row with a primary key, which nobody else changes in this transaction. ``what`` it is, for
        people. Raises ``NotFound``, and what ``check`` does."""
        row = await lock_row(self.session, kind, key, what)
        self.check(row.revision)
        return row

    async def record(
        self,
        action: Action,
        resource: str,
        key: str,
        *,
        before: BaseModel | Mapping[str, Any] | None = None,
        after: BaseModel | Mapping[str, Any] | None = None,
    ) -> None:
        """Write the change into the audit log, and tell every process that what answers calls has changed.

        See ``write_audit``.
        """
        await write_audit(self.session, self.who, action, resource, key, before=before, after=after)
        await notify(self.session, CHANGES, {})


@dataclass(frozen=True, slots=True)
class RequestedChange(Change):
    """A change that a request asks for, and the headers of its answer."""

    request: Request = field(kw_only=True)
    response: Response = field(kw_only=True)

    def place(self, *path: str | int) -> None:
        """What was made is at this path of the API: ``Location``."""
        self.response.headers["Location"] = location(self.request, *path)

    def tag(self, revision: int) -> None:
        """The revision that was made: ``ETag``."""
        self.response.headers["ETag"] = etag(revision)

    def answer(self, shown: T, *path: str | int) -> T:
        """The resource, with its tag, and with its place where it is a new one."""
        self.tag(shown.revision)
        if path:
            self.place(*path)
        return shown


async def _changing(
    session: Transaction, who: Who, request: Request, response: Response, if_match: IfMatch = None
) -> RequestedChange:
    return RequestedChange(session, who, partial(expect, if_match), request=request, response=response)


async def _acting(
    session: Transaction, who: Who, request: Request, response: Response, if_match: IfMatchOptional = None
) -> RequestedChange:
    check = partial(expect_if_given, if_match)
    return RequestedChange(session, who, check, request=request, response=response)


async def _making(session: Transaction, who: Who, request: Request, response: Response) -> RequestedChange:
    return RequestedChange(session, who, request=request, response=response)


Changing = Annotated[RequestedChange, Depends(_changing)]
"""A route's parameter: a change that needs ``If-Match``."""

Acting = Annotated[RequestedChange, Depends(_acting)]
"""The same for a POST, which may leave the header out."""

Making = Annotated[RequestedChange, Depends(_making)]
"""The same for a route without the header: nothing is there yet, or it has no ``ETag``."""
