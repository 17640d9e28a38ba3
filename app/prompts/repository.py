"""SQL of the prompts."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.prompts.models import PromptVersion

# The agents are above this room, and so are their tables: no model of theirs is imported here.
_USERS = text("""
    SELECT agents.name FROM agents
    JOIN agent_versions ON agent = agents.name AND version = active_version
    WHERE archived_at IS NULL AND profile ->> 'prompt' = :name ORDER BY agents.name
""")


async def version_of(session: AsyncSession, name: str, version: int) -> PromptVersion | None:
    """One version."""
    return await session.get(PromptVersion, (name, version))


async def active_versions(session: AsyncSession, names: Sequence[str]) -> dict[str, int]:
    """The active version of each of these prompts that has one."""
    query = select(PromptVersion.prompt, PromptVersion.version)
    query = query.where(PromptVersion.prompt.in_(names), PromptVersion.state == "active")
    return {row.prompt: row.version for row in await session.execute(query)}


async def newest_versions(session: AsyncSession, names: Sequence[str]) -> dict[str, int]:
    """The highest number of a version of each of these prompts."""
    query = select(PromptVersion.prompt, func.max(PromptVersion.version).label("newest"))
    query = query.where(PromptVersion.prompt.in_(names)).group_by(PromptVersion.prompt)
    return {row.prompt: row.newest for row in await session.execute(query)}


async def active_contents(session: AsyncSession) -> dict[str, PromptVersion]:
    """The active version of every prompt, by the prompt's name."""
    query = select(PromptVersion).where(PromptVersion.state == "active")
    return {version.prompt: version for version in await session.scalars(query)}


async def active_version(session: AsyncSession, name: str) -> PromptVersion | None:
    """The version that answers calls."""
    query = select(PromptVersion).where(PromptVersion.prompt == name, PromptVersion.state == "active")
    return await session.scalar(query)


async def previously_active(session: AsyncSession, name: str) -> PromptVersion | None:
    """The version that answered calls before the active one."""
    query = (
        select(PromptVersion)
        .where(PromptVersion.prompt == name, PromptVersion.state == "archived")
        .order_by(PromptVersion.activated_at.desc().nulls_last(), PromptVersion.version.desc())
        .limit(1)
    )
    return await session.scalar(query)


async def archive_active(session: AsyncSession, name: str) -> None:
    """From now on no version answers calls."""
    await session.execute(
        update(PromptVersion)
        .where(PromptVersion.prompt == name, PromptVersion.state == "active")
        .values(state="archived")
    )


async def agents_with(session: AsyncSession, name: str) -> list[str]:
    """The agents whose active version is told this prompt."""
    return list(await session.scalars(_USERS, {"name": name}))
