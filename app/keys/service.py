"""Making, changing, rotating and revoking keys, each with its entry in the audit log."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.service import Action, Actor, write_audit
from app.auth import repository
from app.auth.models import ApiKey
from app.auth.service import NewKey, Role, create_key, revoke_key
from app.errors import Conflict
from app.keys.schemas import KeyChange, KeySummary
from app.rest.rows import find_row, lock_row

RESOURCE = "keys"


async def find_key(session: AsyncSession, key_id: int) -> ApiKey:
    """One key. Raises ``NotFound``."""
    return await find_row(session, ApiKey, key_id, "key")


async def make_key(
    session: AsyncSession, who: Actor, role: Role, label: str, expires_at: datetime | None = None
) -> NewKey:
    """Make a key; its secret is in the result alone."""
    made = await create_key(session, role, label, expires_at=expires_at)
    after = KeySummary.model_validate(await find_key(session, made.id))
    await write_audit(session, who, Action.CREATE, RESOURCE, made.id, after=after)
    return made


async def change_key(session: AsyncSession, who: Actor, key_id: int, change: KeyChange) -> ApiKey:
    """Change a key's label or end; what ``change`` does not name stays. Raises ``NotFound``, ``Conflict``."""
    key = await _usable(session, key_id)
    before = KeySummary.model_validate(key)
    for name in change.model_fields_set:
        setattr(key, name, getattr(change, name))
    await session.flush()
    after = KeySummary.model_validate(key)
    await write_audit(session, who, Action.CHANGE, RESOURCE, key_id, before=before, after=after)
    return key


async def rotate_key(session: AsyncSession, who: Actor, key_id: int, overlap_hours: int) -> NewKey:
    """A new key in the place of this one, with its role, label and end; this one ends after the overlap.

    Raises ``NotFound``, ``Conflict``.
    """
    key = await _usable(session, key_id)
    before = KeySummary.model_validate(key)
    made = await create_key(session, Role(key.role), key.label, expires_at=key.expires_at)
    await repository.expire_in(session, key_id, overlap_hours)
    await session.refresh(key)
    after = {**KeySummary.model_validate(key).model_dump(mode="json"), "replaced_by": made.id}
    await write_audit(session, who, Action.ROTATE, RESOURCE, key_id, before=before, after=after)
    made_row = KeySummary.model_validate(await find_key(session, made.id))
    await write_audit(session, who, Action.CREATE, RESOURCE, made.id, after=made_row)
    return made


async def withdraw_key(session: AsyncSession, who: Actor, key_id: int) -> bool:
    """Make a key useless from now on; false where there is none that could be revoked."""
    if not await revoke_key(session, key_id):
        return False
    after = KeySummary.model_validate(await lock_row(session, ApiKey, key_id, "key"))
    before = after.model_copy(update={"revoked_at": None})
    await write_audit(session, who, Action.REVOKE, RESOURCE, key_id, before=before, after=after)
    return True


async def _usable(session: AsyncSession, key_id: int) -> ApiKey:
    key = await lock_row(session, ApiKey, key_id, "key")
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= datetime.now(UTC)):
        raise Conflict(f"key {key_id} is revoked or expired; make a new one")
    return key
