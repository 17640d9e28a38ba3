"""Keeps the agents of a process as the database has them: what operators change answers the next call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from app.agents.directory import AgentDirectory
from app.agents.loading import ActiveAgent, Loaded, fingerprint, load_once
from app.db.notify import Listener, Payload
from app.db.session import Database, describe, is_away
from app.engines.errors import EngineError, RequestRefused
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

    ``prepare`` makes ready what an agent's calls need, and raises ``RequestRefused`` for an agent that no
    engine can serve: it stays as it was. ``usual`` is the agent of numbers that nobody knows.
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
        self._preparing: asyncio.TaskGroup | None = None

    def subscribe(self, listener: Listener) -> None:
        """Hear of changes through ``listener``."""
        listener.subscribe(CHANGES, self._on_change, self.look)

    async def prepare_all(self) -> None:
        """Make ready what the calls of all that answer need. Raises ``EngineError`` for the usual one."""
        for agent in self._directory.answering(self._usual):
            try:
                await self._prepare(agent.profile)
            except EngineError as error:
                if agent.profile.name == self._usual:
                    raise
                self._refuse(agent.profile.name, str(error))

    async def run(self) -> None:
        """Look from time to time, until cancelled."""
        async with asyncio.TaskGroup() as self._preparing:
            while True:
                await asyncio.sleep(_LOOK_SECONDS)
                try:
                    await self.look()
                except Exception as error:
                    if not is_away(error):
                        raise
                    _log.warning("agents not compared: the database is away", **describe(error))

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
                self._refuse(name, str(error))
            refused = set(loaded.refused) | await self._prepared(loaded)
            self._directory.replace(loaded, refused)
            self._fingerprint = loaded.fingerprint
            AGENTS_RELOADED.inc()

    async def _on_change(self, _: Payload) -> None:
        await self.refresh()

    async def _prepared(self, loaded: Loaded) -> set[str]:
        """Prepare what is new of those that answer, for a moment; the rest goes on by itself.

        Returns the agents that no engine can serve.
        """
        known = {agent.profile.name: agent for agent in self._directory.answering(self._usual)}
        fresh = AgentDirectory(loaded.agents, loaded.lines).answering(self._usual)
        wanted = [agent for agent in fresh if not _same(known.get(agent.profile.name), agent)]
        if not wanted or self._preparing is None:
            return set()
        tasks = {
            self._preparing.create_task(self._try_to_prepare(agent.profile)): agent.profile.name
            for agent in wanted
        }
        done, _ = await asyncio.wait(tasks, timeout=_PREPARE_SECONDS)
        return {tasks[task] for task in done if not task.result()}

    async def _try_to_prepare(self, profile: AgentProfile) -> bool:
        """Whether calls can be answered with this profile, as far as is known."""
        try:
            await self._prepare(profile)
        except RequestRefused as error:
            self._refuse(profile.name, str(error))
            return False
        except Exception:  # noqa: BLE001 - an engine in trouble: calls find out, and have others
            _log.exception("an agent could not be prepared", agent=profile.name)
        return True

    @staticmethod
    def _refuse(name: str, problem: str) -> None:
        AGENTS_NOT_LOADED.inc()
        _log.error("an agent stays as it was: the stored one cannot be used", agent=name, problem=problem)


def _same(known: ActiveAgent | None, loaded: ActiveAgent) -> bool:
    return known is not None and known.profile == loaded.profile
