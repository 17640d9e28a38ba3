"""SQL of the agents."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.models import Agent, AgentVersion


async def lock_agent(session: AsyncSession, name: str) -> AgentVersion | None:
    """The active version of an agent, made here if it is new; nobody else changes it in this transaction."""
    await session.execute(insert(Agent).values(name=name, active_version=0).on_conflict_do_nothing())
    # Two statements: the second one sees what another process committed while the first one waited.
    active = await session.scalar(select(Agent.active_version).where(Agent.name == name).with_for_update())
    return await session.get(AgentVersion, (name, active))


async def add_version(session: AsyncSession, name: str, profile: dict[str, Any], content_hash: str) -> int:
    """Add the next version of a locked agent and make it the active one; returns its number."""
    newest = await session.scalar(select(func.max(AgentVersion.version)).where(AgentVersion.agent == name))
    number = (newest or 0) + 1
    session.add(AgentVersion(agent=name, version=number, profile=profile, content_hash=content_hash))
    await session.execute(update(Agent).where(Agent.name == name).values(active_version=number))
    return number


async def active_versions(session: AsyncSession) -> list[AgentVersion]:
    """The active version of every agent, by name."""
    query = (
        select(AgentVersion)
        .join(Agent, (Agent.name == AgentVersion.agent) & (Agent.active_version == AgentVersion.version))
        .order_by(AgentVersion.agent)
    )
    return list(await session.scalars(query))
