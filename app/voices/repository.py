"""SQL of the voices."""

from __future__ import annotations

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.voices.models import Voice

# The agents are above this room, and so are their tables: no model of theirs is imported here.
_USERS = text("""
    SELECT agents.name FROM agents
    JOIN agent_versions ON agent = agents.name AND version = active_version
    WHERE archived_at IS NULL AND profile -> 'voice' ->> 'stored' = :name ORDER BY agents.name
""")


async def agents_with(session: AsyncSession, name: str) -> list[str]:
    """The agents whose active version speaks with this voice."""
    return list(await session.scalars(_USERS, {"name": name}))


async def all_voices(session: AsyncSession) -> dict[str, Voice]:
    """Every voice by name, the archived ones too: what uses them goes on with them."""
    return {voice.name: voice for voice in await session.scalars(select(Voice))}
