"""Keeps the agents of a process as the database has them: what operators change answers the next call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from app.agents.directory import AgentDirectory
from app.agents.loading import ActiveAgent, Loaded, fingerprint, load_once, other_version, tell_refused
from app.db.notify import Listener, Payload
from app.db.session import Database, describe, is_away
from app.engines.errors import EngineError, EngineUnavailable, RequestRefused
from app.metrics import AGENTS_NOT_LOADED, AGENTS_RELOADED
from app.rest.changes import CHANGES
from app.voice.profile import AgentProfile

_LOOK_SECONDS = 30.0
_PREPARE_SECONDS = 0.5
"""How long a change waits for its audio and words to be prepared; then calls are answered with it anyway."""

_log = structlog.get_logger(__name__)


class AgentKeeper:
    """Loads the agents again when a message tells of a change, after a lost connection, and if the database
    has changed without a word.

    ``prepare`` makes ready what an agent's calls need. Where it raises an ``EngineError`` that is not
    ``retryable``, such as ``RequestRefused``, no engine can serve the agent: the one of that name that
    answered before answers on. Where there was none, ``usual`` does, the agent of numbers that nobody knows.
    """

    def __init__(
        self,
        database: Database,
        directory: AgentDirectory,
        prepare: Callable[[AgentProfile], Awaitable[None]],
        usual: str,
    ) -> None:
        self._database = database
        self._directory = directory
        self._prepare = prepare
        self._usual = usual
        self._lock = asyncio.Lock()
        self._fingerprint = ""
        self._served: dict[str, ActiveAgent] = {}  # by name, the last one that was prepared and not refused
        self._preparing: asyncio.TaskGroup | None = None

    def subscribe(self, listener: Listener) -> None:
        """Hear of changes through ``listener``."""
        listener.subscribe(CHANGES, self._on_change, self.look)

    async def prepare_all(self) -> None:
        """Make ready what the calls of all that answer need. Agents that no engine serves are dropped.

        Raises ``EngineError`` where that is the usual one.
        """
        for agent in self._directory.answering(self._usual):
            refusal = await self._refusal(agent)
            if refusal is None:
                continue
            name = agent.profile.name
            if name == self._usual:
                raise _unserved(name, refusal)
            tell_refused(name, str(refusal))
            self._directory.withdraw(agent.profile, None)

    async def run(self) -> None:
        """Look from time to time, until cancelled."""
        async with asyncio.TaskGroup() as self._preparing:
            while True:
                await asyncio.sleep(_LOOK_SECONDS)
                try:
                    await self.look()
                except Exception as error:  # noqa: BLE001 - the edge of a look: the next one may be right
                    if is_away(error):
                        _log.warning("agents not compared: the database is away", **describe(error))
                        continue
                    AGENTS_NOT_LOADED.inc()
                    _log.exception("agents not loaded: those of before answer on")

    async def look(self) -> None:
        """Load the agents, if they have changed."""
        async with self._database.transaction() as session:
            changed = await fingerprint(session) != self._fingerprint
        if changed:
            await self.refresh()

    async def refresh(self) -> None:
        """Load the agents and answer the next call with them. Raises what the database does."""
        async with self._lock:
            loaded = await load_once(self._database)
            for name, error in loaded.refused.items():
                tell_refused(name, str(error))
            agents = dict(loaded.agents)
            for name in set(loaded.refused) | await self._prepared(loaded):
                agents.pop(name, None)
                if name in self._served:
                    agents[name] = self._served[name]
            self._directory.replace(agents, loaded.lines)
            self._fingerprint = loaded.fingerprint
            AGENTS_RELOADED.inc()

    async def _on_change(self, _: Payload) -> None:
        await self.refresh()

    async def _prepared(self, loaded: Loaded) -> set[str]:
        """Prepare what is new of those that answer, for a moment; the rest goes on by itself.

        Returns the agents that no engine can serve, as far as is known by then.
        """
        answering = AgentDirectory(loaded.agents, loaded.lines).answering(self._usual)
        wanted = [agent for agent in answering if not _same(self._served.get(agent.profile.name), agent)]
        if not wanted or self._preparing is None:
            return set()
        tasks = {
            self._preparing.create_task(self._prepare_beside(agent)): agent.profile.name for agent in wanted
        }
        done, _ = await asyncio.wait(tasks, timeout=_PREPARE_SECONDS)
        return {tasks[task] for task in done if not task.result()}

    async def _prepare_beside(self, agent: ActiveAgent) -> bool:
        """Whether calls can be answered with it. One that is refused, however late, answers no more."""
        name = agent.profile.name
        try:
            refusal = await self._refusal(agent)
        except Exception:  # noqa: BLE001 - the edge of a task; calls find out, and have other engines
            _log.exception("an agent could not be prepared", agent=name)
            return True
        if refusal is None:
            return True
        tell_refused(name, str(refusal))
        self._directory.withdraw(agent.profile, self._served.get(name))
        return False

    async def _refusal(self, agent: ActiveAgent) -> EngineError | None:
        """Prepare an agent; returns why no engine can serve it. One in trouble now may serve it later."""
        try:
            await self._prepare(agent.profile)
        except EngineError as error:
            if not error.retryable:
                return error
            _log.warning("an agent could not be prepared", agent=agent.profile.name, problem=str(error))
        self._served[agent.profile.name] = agent
        return None


def _unserved(usual: str, refusal: EngineError) -> EngineError:
    """What keeps a process from starting: said so that it can be mended, where it is the profile's fault."""
    if not isinstance(refusal, RequestRefused):
        return refusal
    return EngineUnavailable(
        refusal.engine,
        f"{refusal.message}, and so it cannot serve the agent {usual!r} (TRUNKLINE_CALLS__AGENT); "
        f"{other_version(usual)}; or name an engine that can serve it",
    )


def _same(served: ActiveAgent | None, loaded: ActiveAgent) -> bool:
    return served is not None and served.profile == loaded.profile
