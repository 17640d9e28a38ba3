"""The agents and numbers in the memory of a process: what answers a call never waits for the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from app.agents.files import read_profiles
from app.agents.loading import ActiveAgent, Line, Loaded, StoredProfileError, load_once
from app.agents.seeding import seed_agents
from app.db.session import Database
from app.numbers.hours import HangUp, OtherAgent, Transfer, is_open
from app.voice.terms import Closing, Terms


class UnknownAgent(LookupError):
    """No agent of that name is stored. The message lists those that are."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call is answered: by which agent, on which terms, and where it goes when it is transferred."""

    agent: ActiveAgent
    terms: Terms
    transfer_to: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    """All that calls are answered with, of one moment."""

    agents: Mapping[str, ActiveAgent] = field(default_factory=dict)
    lines: Mapping[str, Line] = field(default_factory=dict)


class AgentDirectory:
    """The agents by name, and which of them answers at which number. Replaced whole, between two calls."""

    def __init__(self, agents: Mapping[str, ActiveAgent], lines: Mapping[str, Line] | None = None) -> None:
        self._known = _Known(dict(agents), dict(lines or {}))

    @classmethod
    async def open(cls, database: Database, folder: Path) -> AgentDirectory:
        """Store what changed in the folder's files and load all agents.

        Raises ``AgentFileError``, ``StoredProfileError``.
        """
        profiles = read_profiles(folder)
        async with database.transaction() as session:
            await seed_agents(session, profiles)
        loaded = await load_once(database)
        for error in loaded.refused.values():
            raise error
        return cls(loaded.agents, loaded.lines)

    def get(self, name: str) -> ActiveAgent:
        """The agent of that name. Raises ``UnknownAgent``."""
        try:
            return self._known.agents[name]
        except KeyError:
            known = ", ".join(self.names) or "none"
            raise UnknownAgent(f"there is no agent {name!r}; the agents are: {known}") from None

    @property
    def names(self) -> list[str]:
        """The names of all agents, sorted."""
        return sorted(self._known.agents)

    def answering(self, usual: str) -> list[ActiveAgent]:
        """The agents that may answer the next call, ``usual`` first."""
        names = {usual: None}
        for line in self._known.lines.values():
            names[line.agent] = None
            if line.opening is not None and isinstance(line.opening.closed, OtherAgent):
                names[line.opening.closed.agent] = None
        return [self._known.agents[name] for name in names if name in self._known.agents]

    def answer(self, number: str, usual: str, at: datetime | None) -> Answer:
        """Who answers at a number, at an aware time; ``None``: whatever the time is.

        ``usual`` answers at numbers that nobody knows, and for an agent that is gone. Raises
        ``UnknownAgent`` where ``usual`` is.
        """
        line = self._known.lines.get(number)
        if line is None:
            return _by(self.get(usual))
        agent = self._known.agents.get(line.agent) or self.get(usual)
        if line.opening is None or at is None or is_open(line.opening, at):
            return _by(agent)
        closed = line.opening.closed
        if isinstance(closed, OtherAgent):
            return _by(self._known.agents.get(closed.agent) or agent)
        if isinstance(closed, Transfer):
            return _by(agent, Closing(closed.say, transfers=True), closed.number)
        return _by(agent, Closing(closed.say))

    def replace(self, loaded: Loaded, refused: Iterable[str]) -> None:
        """From the next call on, answer with what was loaded; agents ``refused`` stay as they are."""
        agents = dict(loaded.agents)
        for name in refused:
            agents.pop(name, None)
            if name in self._known.agents:
                agents[name] = self._known.agents[name]
        self._known = _Known(agents, dict(loaded.lines))


def _by(agent: ActiveAgent, closing: Closing | None = None, transfer_to: str = "") -> Answer:
    return Answer(agent, Terms(agent.prompt, agent.prompt_version, agent.voice, closing), transfer_to)


CLOSED_SENTENCE = HangUp().say
"""What a caller hears who comes back from a number that did not answer."""

__all__ = ["CLOSED_SENTENCE", "ActiveAgent", "AgentDirectory", "Answer", "StoredProfileError", "UnknownAgent"]
