"""``/audit``: who changed what. For admins."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel
from sqlalchemy import Select, select

from app.audit.models import AuditEntry
from app.audit.schemas import AuditDetail
from app.audit.service import Action
from app.auth.service import Role
from app.db.request import Transaction
from app.rest.listing import Asked, Listing
from app.rest.route import rest_router
from app.rest.times import Since, Until

ENTRIES = Listing(
    "entries",
    AuditDetail,
    sorts={"id": AuditEntry.id, "at": AuditEntry.at},
    key=(AuditEntry.id,),
    sort="-at",
)

router = rest_router("/audit", "audit", Role.ADMIN)

_Text = Annotated[str | None, Query(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]


class Wanted(BaseModel):
    """Which entries."""

    resource: _Text = None
    resource_id: _Text = None
    action: Action | None = None
    key_id: Annotated[int | None, Query(ge=1, lt=2**31)] = None
    since: Since = None
    until: Until = None


@router.get("", response_model=ENTRIES.schema, response_model_exclude_unset=True)
async def audit(
    session: Transaction,
    asked: Annotated[Asked, Depends(ENTRIES.asked)],
    wanted: Annotated[Wanted, Depends()],
) -> BaseModel:
    """Changes through the API and the command line, newest first."""
    return await ENTRIES.answer(session, _narrowed(select(AuditEntry), wanted), asked)


def _narrowed(query: Select[tuple[AuditEntry]], wanted: Wanted) -> Select[tuple[AuditEntry]]:
    if wanted.resource is not None:
        query = query.where(AuditEntry.resource == wanted.resource)
    if wanted.resource_id is not None:
        query = query.where(AuditEntry.resource_id == wanted.resource_id)
    if wanted.action is not None:
        query = query.where(AuditEntry.action == wanted.action.value)
    if wanted.key_id is not None:
        query = query.where(AuditEntry.key_id == wanted.key_id)
    if wanted.since is not None:
        query = query.where(AuditEntry.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditEntry.at < wanted.until)
    return query
