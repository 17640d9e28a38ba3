"""The agents and numbers in the memory of a process: what answers a call never waits for the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from app.agents.files import read_profiles
from app.agents.loading import ActiveAgent, Line, StoredProfileError, load_once, tell_refused
from app.agents.seeding import seed_agents
from app.db.session import Database
from app.numbers.hours import HangUp, OtherAgent, Transfer, who_answers
from app.voice.profile import AgentProfile
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
    async def open(cls, database: Database, folder: Path, usual: str) -> AgentDirectory:
        """Store what changed in the folder's files and load all agents.

        Those that cannot be used are logged and counted, and ``usual`` answers at their numbers. Raises
        ``AgentFileError``; ``StoredProfileError`` where it is ``usual`` that cannot be used, ``UnknownAgent``
        where it is not there.
        """
        profiles = read_profiles(folder)
        async with database.transaction() as session:
            await seed_agents(session, profiles)
        loaded = await load_once(database)
        if usual in loaded.refused:
            raise loaded.refused[usual]
        for name, error in loaded.refused.items():
            tell_refused(name, str(error))
        directory = cls(loaded.agents, loaded.lines)
        directory.get(usual)
        return directory

    def get(self, name: str) -> ActiveAgent:
        """The agent of that name. Raises ``UnknownAgent``."""
        try:
            return self._known.agents[name]
        except KeyError:
            known = ", ".join(self.names) or "none"
            raise UnknownAgent(f"there is no agent {name!r}; the agents are: {known}") from None

    def has(self, name: str) -> bool:
        """Whether an agent of that name can answer."""
        return name in self._known.agents

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
        line = self._known.lines.get(number, Line(usual))
        found = who_answers(line.agent, line.opening, at, self.has, usual)
        agent, closed = self.get(found.agent), found.closed
        if closed is None:
            return _by(agent)
        if isinstance(closed, Transfer):
            return _by(agent, Closing(closed.say, transfers=True), closed.number)
        return _by(agent, Closing(closed.say))

    def replace(self, agents: Mapping[str, ActiveAgent], lines: Mapping[str, Line]) -> None:
        """From the next call on, answer with these."""
        self._known = _Known(dict(agents), dict(lines))

    def withdraw(self, refused: AgentProfile, before: ActiveAgent | None) -> None:
        """Answer with ``before`` where calls are still answered with ``refused``; ``None``: not any more."""
        name, agents = refused.name, dict(self._known.agents)
        if name not in agents or agents[name].profile != refused:
            return
        del agents[name]
        if before is not None:
            agents[name] = before
        self.replace(agents, self._known.lines)


def _by(agent: ActiveAgent, closing: Closing | None = None, transfer_to: str = "") -> Answer:
    return Answer(agent, Terms(agent.prompt, agent.prompt_version, agent.voice, closing), transfer_to)


CLOSED_SENTENCE = HangUp().say
"""What a caller hears who comes back from a number that did not answer."""

__all__ = ["CLOSED_SENTENCE", "ActiveAgent", "AgentDirectory", "Answer", "StoredProfileError", "UnknownAgent"]
