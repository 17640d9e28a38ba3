"""How long things of calls are kept: by the settings, and by what agents' profiles say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.voice.after_call import Retention as Promised

_log = structlog.get_logger(__name__)

# Also of agents that are archived: their calls are still there.
_PROMISES = text(
    """
    SELECT agents.name, agent_versions.profile FROM agents
    LEFT JOIN agent_versions
           ON agent_versions.agent = agents.name AND agent_versions.version = agents.active_version
    """
)
_NEVER = Promised(recordings_days=0, transcripts_days=0, calls_days=0)


@dataclass(frozen=True, slots=True)
class Days:
    """After how many days; 0: never. ``agents``: those that differ."""

    usual: int = 0
    agents: Mapping[str, int] = field(default_factory=dict)

    @property
    def least(self) -> int:
        """After so many days something may have to go; 0: nothing ever has."""
        return min((days for days in (self.usual, *self.agents.values()) if days), default=0)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is kept."""

    recordings: Days = Days()
    transcripts: Days = Days()
    calls: Days = Days()


async def read_retention(session: AsyncSession, usual: Promised) -> Retention:
    """How long what is kept: as ``usual``, and by the active version of every agent that says otherwise.

    Of an agent whose version cannot be read nothing is deleted, which is logged.
    """
    promised = {row.name: _promised(row.name, row.profile) for row in await session.execute(_PROMISES)}

    def days(name: str) -> Days:
        own = {agent: getattr(promise, name) for agent, promise in promised.items()}
        differing = {agent: count for agent, count in own.items() if count is not None}
        return Days(getattr(usual, name) or 0, differing)

    return Retention(days("recordings_days"), days("transcripts_days"), days("calls_days"))


def _promised(agent: str, profile: Any) -> Promised:
    try:
        return Promised.model_validate(profile.get("after", {}).get("retention", {}))
    except (AttributeError, ValidationError):
        _log.error(
            "how long an agent's calls are kept cannot be read, so none of them are deleted; "
            "activate a version of the agent that fits",
            agent=agent,
        )
        return _NEVER
