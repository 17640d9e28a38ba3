"""SQL of the agents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
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


async def add_version(
    session: AsyncSession,
    agent: Agent,
    profile: dict[str, Any],
    content_hash: str,
    note: str,
    *,
    draft: bool = False,
) -> int:
    """Add the next version of a locked agent; returns its number. It answers calls, but for a ``draft``."""
    number = (await newest_versions(session, [agent.name])).get(agent.name, 0) + 1
    version = AgentVersion(
        agent=agent.name, version=number, profile=profile, content_hash=content_hash, note=note
    )
    session.add(version)
    if not draft:
        activate(agent, version)
    await session.flush()
    return number


def activate(agent: Agent, version: AgentVersion) -> None:
    """From now on a version of a locked agent answers calls."""
    agent.active_version, version.activated_at = version.version, datetime.now(UTC)


async def newest_versions(session: AsyncSession, names: Sequence[str]) -> dict[str, int]:
    """The highest number of a version of each of these agents."""
    query = select(AgentVersion.agent, func.max(AgentVersion.version).label("newest"))
    query = query.where(AgentVersion.agent.in_(names)).group_by(AgentVersion.agent)
    return {row.agent: row.newest for row in await session.execute(query)}


async def previously_active(session: AsyncSession, agent: Agent) -> AgentVersion | None:
    """The version that answered calls before the active one."""
    query = (
        select(AgentVersion)
        .where(
            AgentVersion.agent == agent.name,
            AgentVersion.version != agent.active_version,
            AgentVersion.activated_at.is_not(None),
        )
        .order_by(AgentVersion.activated_at.desc(), AgentVersion.version.desc())
        .limit(1)
    )
    return await session.scalar(query)


async def active_versions(session: AsyncSession, names: Sequence[str] | None = None) -> list[AgentVersion]:
    """The active version of every agent that is not archived, by name; of ``names``: archived ones too."""
    query = (
        select(AgentVersion)
        .join(Agent, (Agent.name == AgentVersion.agent) & (Agent.active_version == AgentVersion.version))
        .order_by(AgentVersion.agent)
    )
    query = query.where(Agent.archived_at.is_(None) if names is None else Agent.name.in_(names))
    return list(await session.scalars(query))
