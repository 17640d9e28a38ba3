"""The admin key of the settings: what a new installation is administered with."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.service import OURSELVES, Action, write_audit
from app.auth.service import ensure_first_key
from app.keys.schemas import KeySummary
from app.keys.service import RESOURCE


async def keep_first_key(session: AsyncSession, key: str) -> None:
    """Store the admin key of the settings, unless it is stored. Raises ``WeakKey``."""
    stored = await ensure_first_key(session, key)
    if stored is not None:
        after = KeySummary.model_validate(stored)
        await write_audit(session, OURSELVES, Action.CREATE, RESOURCE, stored.id, after=after)
