"""SQL of the numbers."""

from __future__ import annotations

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.numbers.models import Number

# The agents are above this room, and so are their tables: no model of theirs is imported here.
_AGENT = text("SELECT name FROM agents WHERE name = :name AND archived_at IS NULL FOR SHARE")


async def all_numbers(session: AsyncSession) -> list[Number]:
    """Every number, in order."""
    return list(await session.scalars(select(Number).order_by(Number.number)))


async def has_agent(session: AsyncSession, name: str) -> bool:
    """Whether there is such an agent, which nobody archives before this transaction ends."""
    return await session.scalar(_AGENT, {"name": name}) is not None


async def numbers_of(session: AsyncSession, agent: str) -> list[str]:
    """The numbers where an agent answers, open or closed."""
    query = select(Number.number).where(
        (Number.agent == agent) | (Number.opening["closed"]["agent"].astext == agent)
    )
    return list(await session.scalars(query.order_by(Number.number)))
