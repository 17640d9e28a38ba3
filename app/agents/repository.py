"""SQL of the agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.models import Agent, AgentVersion


async def lock_agent(session: AsyncSession, name: str) -> tuple[Agent, AgentVersion | None]:
    """An agent, made here if it is new, with its active version; nobody else changes it meanwhile."""
    await session.execute(insert(Agent).values(name=name, active_version=0).on_conflict_do_nothing())
    # Two statements: the second one sees what another process committed while the first one waited.
    agent = await session.get_one(Agent, name, with_for_update=True, populate_existing=True)
    return agent, await session.get(AgentVersion, (name, agent.active_version))


async def lock_known_agent(session: AsyncSession, name: str) -> Agent | None:
    """An agent, if there is one; nobody else changes it in this transaction."""
    return await session.get(Agent, name, with_for_update=True, populate_existing=True)


async def add_version(
    session: AsyncSession, agent: Agent, profile: dict[str, Any], content_hash: str, note: str
) -> int:
    """Add the next version of a locked agent; returns its number."""
    number = (await newest_versions(session, [agent.name])).get(agent.name, 0) + 1
    session.add(
        AgentVersion(agent=agent.name, version=number, profile=profile, content_hash=content_hash, note=note)
    )
    await session.flush()
    return number


async def newest_versions(session: AsyncSession, names: Sequence[str]) -> dict[str, int]:
    """The highest number of a version of each of these agents."""
    query = select(AgentVersion.agent, func.max(AgentVersion.version).label("newest"))
    query = query.where(AgentVersion.agent.in_(names)).group_by(AgentVersion.agent)
    return {row.agent: row.newest for row in await session.execute(query)}


async def version_before(session: AsyncSession, name: str, version: int) -> AgentVersion | None:
    """The version with the next lower number."""
    query = select(AgentVersion).where(AgentVersion.agent == name, AgentVersion.version < version)
    return await session.scalar(query.order_by(AgentVersion.version.desc()).limit(1))


async def active_versions(session: AsyncSession, names: Sequence[str] | None = None) -> list[AgentVersion]:
    """The active version of every agent that is not archived, by name; of ``names``: archived ones too."""
    query = (
        select(AgentVersion)
        .join(Agent, (Agent.name == AgentVersion.agent) & (Agent.active_version == AgentVersion.version))
        .order_by(AgentVersion.agent)
    )
    query = query.where(Agent.archived_at.is_(None) if names is None else Agent.name.in_(names))
    return list(await session.scalars(query))
