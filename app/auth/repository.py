"""SQL of the API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import ApiKey


async def add_key(
    session: AsyncSession, *, digest: bytes, prefix: str, role: str, label: str, expires_at: datetime | None
) -> ApiKey | None:
    """Store a key by its hash; ``None`` where it is stored already."""
    statement = insert(ApiKey).values(
        hash=digest, prefix=prefix, role=role, label=label, expires_at=expires_at
    )
    return (
        await session.scalars(statement.on_conflict_do_nothing(index_elements=["hash"]).returning(ApiKey))
    ).one_or_none()


async def valid_key(session: AsyncSession, digest: bytes) -> ApiKey | None:
    """The key with this hash, if it is neither revoked nor expired."""
    query = select(ApiKey).where(
        ApiKey.hash == digest,
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()),
    )
    return (await session.scalars(query)).one_or_none()


async def touch_key(session: AsyncSession, key_id: int, at_most_every: timedelta) -> None:
    """Note that a key is used, unless that was noted a moment ago."""
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - at_most_every)
    await session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, stale)
        .values(last_used_at=func.now())
        .execution_options(synchronize_session=False)
    )


async def revoke(session: AsyncSession, key_id: int) -> bool:
    """Make a key useless from now on; false where there is no such key that could be used."""
    statement = (
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(ApiKey.id)
        .execution_options(synchronize_session=False)
    )
    return await session.scalar(statement) is not None


async def all_keys(session: AsyncSession) -> Sequence[ApiKey]:
    """Every key, oldest first, those revoked and expired among them."""
    return (await session.scalars(select(ApiKey).order_by(ApiKey.id))).all()


async def expire_in(session: AsyncSession, key_id: int, hours: int) -> None:
    """Let a key end in so many hours, unless it ends before."""
    end = func.now() + timedelta(hours=hours)
    await session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id)
        .values(expires_at=func.least(func.coalesce(ApiKey.expires_at, end), end))
        .execution_options(synchronize_session=False)
    )
