"""Agents from files into versions. What operators changed stays, until a file itself changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.repository import add_version, lock_agent
from app.audit.change import Change
from app.audit.service import OURSELVES, Action
from app.voice.profile import AgentProfile

_log = structlog.get_logger(__name__)


async def seed_agents(session: AsyncSession, profiles: Iterable[AgentProfile]) -> int:
    """Store each profile that is not what its agent was last given from a file, as the next, active version.

    Returns how many were stored. Safe in several processes at once.
    """
    stored = 0
    for profile in sorted(profiles, key=lambda each: each.name):  # in one order, so that nobody deadlocks
        # What the file says, without defaults: a default of the code that changes is no change of the file.
        said = content_hash(profile.model_dump(mode="json", exclude_unset=True))
        agent, active = await lock_agent(session, profile.name)
        if agent.seeded_hash == said:
            continue
        agent.seeded_hash = said
        content = profile.model_dump(mode="json")
        if active is None or active.content_hash != content_hash(content):
            before = None if active is None else {"active_version": active.version}
            version = await add_version(session, agent, content, content_hash(content), "from its file")
            agent.revision += 1 if active is not None else 0
            _log.info("agent stored", agent=profile.name, version=version)
            await Change(session, OURSELVES).record(
                Action.CREATE if active is None else Action.CHANGE,
                "agents",
                profile.name,
                before=before,
                after={"active_version": version},
            )
            stored += 1
    return stored


def content_hash(content: dict[str, object]) -> str:
    """The SHA-256 of a profile's canonical JSON, in hex."""
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
