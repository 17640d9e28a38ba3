"""Which process answers a call, and that it still lives: a heartbeat in the database.

A process that was killed leaves calls open for ever. Whoever lives closes them, once the killed process's
heartbeat is too old; a process that stops in order says so, and its calls can be closed at once.
"""

from __future__ import annotations

import asyncio
import os
import socket
from uuid import UUID, uuid4

import structlog

from app.calls.repository import beat, mark_stopped
from app.calls.service import ABANDONED_SECONDS, close_abandoned
from app.db.session import Database, describe, is_away

HEARTBEAT_SECONDS = 3.0
CLOSE_SECONDS = 15.0  # between looks for abandoned calls

_log = structlog.get_logger(__name__)


class Presence:
    """This process among those that share the database."""

    def __init__(self, database: Database) -> None:
        self.id: UUID = uuid4()
        self._database = database

    async def start(self) -> None:
        """Make this process known, and close the calls of those that are gone. Before the first call."""
        async with self._database.transaction() as session:
            await beat(session, self.id, socket.gethostname(), os.getpid())
            await close_abandoned(session)

    async def run(self) -> None:
        """Beat, and close what others abandoned, until cancelled. Goes on while the database is away."""
        clock = asyncio.get_running_loop().time
        steady_since = closed = clock()
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            now = clock()
            # Just after an outage nobody has a fresh heartbeat, so nobody may be called gone.
            close = now - closed >= CLOSE_SECONDS and now - steady_since >= ABANDONED_SECONDS
            if not await self._beat(close=close):
                steady_since = clock()
            elif close:
                closed = now

    async def stop(self) -> None:
        """Say that this process answers no more calls, and close those still open. To be called last."""
        try:
            async with self._database.transaction() as session:
                await mark_stopped(session, self.id)
                await close_abandoned(session)
        except Exception as error:
            if not is_away(error):
                raise
            _log.warning(
                "the database is away; another process will close this one's calls", **describe(error)
            )

    async def _beat(self, *, close: bool) -> bool:
        try:
            async with self._database.transaction() as session:
                await beat(session, self.id, socket.gethostname(), os.getpid())
                if close:
                    await close_abandoned(session)
        except Exception as error:
            if not is_away(error):
                raise
            _log.warning("no heartbeat: the database is away", **describe(error))
            return False
        return True
