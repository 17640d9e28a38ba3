"""Writing down who changed what, in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.models import AuditEntry
from app.auth.access import identify
from app.auth.service import Identity


class Action(StrEnum):
    """What was done to a resource."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    ARCHIVE = "archive"
    RESTORE = "restore"
    ACTIVATE = "activate"
    ROLL_BACK = "roll_back"
    REVOKE = "revoke"
    ROTATE = "rotate"
    ERASE = "erase"
    RETRY = "retry"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something: a key by its name, or ``trunkline`` itself."""

    key_id: int | None
    name: str


OURSELVES = Actor(None, "trunkline")
"""The command line, and what the product does by itself."""


async def actor(identity: Annotated[Identity, Depends(identify)]) -> Actor:
    """Who sent the request."""
    return Actor(identity.key_id, identity.name)


Who = Annotated[Actor, Depends(actor)]
"""A route's parameter: who sent the request."""


async def write_audit(
    session: AsyncSession,
    who: Actor,
    action: Action,
    resource: str,
    resource_id: str | int,
    *,
    before: BaseModel | Mapping[str, Any] | None = None,
    after: BaseModel | Mapping[str, Any] | None = None,
) -> None:
    """Write an entry in the transaction of the change.

    ``resource``: its plural, as in the path; ``before`` and ``after``: as the API shows it, without secrets
    and without personal data; ``None``: there was, or is, none.
    """
    session.add(
        AuditEntry(
            key_id=who.key_id,
            actor=who.name,
            action=action.value,
            resource=resource,
            resource_id=str(resource_id),
            before=_shown(before),
            after=_shown(after),
        )
    )


def _shown(resource: BaseModel | Mapping[str, Any] | None) -> dict[str, Any] | None:
    if resource is None:
        return None
    return resource.model_dump(mode="json") if isinstance(resource, BaseModel) else dict(resource)
