"""Agents: from files into versions, and from versions into the memory of the process that answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
import structlog
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.files import read_profiles
from app.agents.repository import active_versions, add_version, lock_agent
from app.db.session import Database
from app.voice.profile import AgentProfile

_log = structlog.get_logger(__name__)


class UnknownAgent(LookupError):
    """No agent of that name is stored. The message lists those that are."""


class StoredProfileError(Exception):
    """A stored profile does not fit this version of the code."""


@dataclass(frozen=True, slots=True)
class ActiveAgent:
    """What answers a call: a profile, and the version that the call's record refers to."""

    profile: AgentProfile
    version: int


async def seed_agents(session: AsyncSession, profiles: Iterable[AgentProfile]) -> int:
    """Store each profile that differs from its agent's active version as the next, active version.

    Returns how many were stored. Safe in several processes at once.
    """
    stored = 0
    for profile in sorted(profiles, key=lambda each: each.name):  # in one order, so that nobody deadlocks
        content = profile.model_dump(mode="json")
        digest = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
        active = await lock_agent(session, profile.name)
        if active is None or active.content_hash != digest:
            version = await add_version(session, profile.name, content, digest)
            _log.info("agent stored", agent=profile.name, version=version)
            stored += 1
    return stored


class AgentDirectory:
    """The agents by name, from memory: what answers a call never waits for the database."""

    def __init__(self, agents: Mapping[str, ActiveAgent]) -> None:
        self._agents = dict(agents)

    @classmethod
    async def open(cls, database: Database, folder: Path) -> AgentDirectory:
        """Store what changed in the folder's files and load all agents.

        Raises ``AgentFileError``, ``StoredProfileError``.
        """
        profiles = read_profiles(folder)
        async with database.transaction() as session:
            await seed_agents(session, profiles)
            return cls(await load_agents(session))

    def get(self, name: str) -> ActiveAgent:
        """The agent of that name. Raises ``UnknownAgent``."""
        try:
            return self._agents[name]
        except KeyError:
            known = ", ".join(self.names) or "none"
            raise UnknownAgent(f"there is no agent {name!r}; the agents are: {known}") from None

    @property
    def names(self) -> list[str]:
        """The names of all agents, sorted."""
        return sorted(self._agents)


async def load_agents(session: AsyncSession) -> dict[str, ActiveAgent]:
    """The active version of every agent, by name. Raises ``StoredProfileError``."""
    agents = {}
    for stored in await active_versions(session):
        try:
            profile = AgentProfile.model_validate(stored.profile)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise StoredProfileError(
                f"version {stored.version} of agent {stored.agent!r} in the database does not fit this "
                f"version of Trunkline: {'.'.join(map(str, first['loc']))}: {first['msg']}. "
                f"Put a corrected config/agents/{stored.agent}.yaml in place and start again"
            ) from None
        agents[stored.agent] = ActiveAgent(profile, stored.version)
    return agents
