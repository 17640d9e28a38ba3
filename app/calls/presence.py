"""Which process answers a call, and that it still lives: a heartbeat in the database.

A process that was killed leaves calls open for ever. Whoever lives closes them, once the killed process's
heartbeat is too old; a process that stops in order says so, and its calls can be closed at once.

Just after an outage nobody has a fresh heartbeat. So nobody is called gone by whoever has not itself reached
the database for long enough without a gap, in which all who live beat too.
"""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import UTC, datetime
from uuid import UUID, uuid4

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.repository import beat, mark_stopped
from app.calls.service import ABANDONED_SECONDS, close_abandoned, close_stopped
from app.db.session import Database, describe, is_away

HEARTBEAT_SECONDS = 3.0
BEAT_SECONDS = 4.0  # then a heartbeat is given up, so that one connection that hangs does not cost all
GAP_SECONDS = 6.0  # between answers of the database: two heartbeats
CLOSE_SECONDS = 15.0  # between looks for abandoned calls

_log = structlog.get_logger(__name__)

_TIME = text("SELECT clock_timestamp()")
_DOUBTED = text(
    """
    SELECT EXISTS (
        SELECT FROM calls JOIN instances ON instances.id = calls.instance_id
        WHERE calls.ended_at IS NULL
          AND instances.heartbeat_at < now() - make_interval(secs => CAST(:seconds AS double precision))
    )
    """
)


class Reach:
    """For how long the database has been within reach, by its own clock: ours may have stood still."""

    def __init__(self) -> None:
        self._since = self._last = datetime.min.replace(tzinfo=UTC)

    async def measure(self, session: AsyncSession) -> float:
        """Ask the database; returns for how many seconds it has answered without a gap."""
        return self.answered((await session.scalars(_TIME)).one())

    def answered(self, at: datetime) -> float:
        """It answered at this time of its clock; returns the same."""
        if (at - self._last).total_seconds() > GAP_SECONDS:
            self._since = at
        self._last = at
        return (at - self._since).total_seconds()


class Presence:
    """This process among those that share the database."""

    def __init__(self, database: Database) -> None:
        self.id: UUID = uuid4()
        self._database = database

    async def start(self) -> None:
        """Make this process known. Before the first call."""
        async with self._database.transaction() as session:
            await beat(session, self.id, socket.gethostname(), os.getpid())
            await close_stopped(session)

    async def run(self) -> None:
        """Beat, and close what others abandoned, until cancelled. Goes on while the database is away."""
        clock = asyncio.get_running_loop().time
        reach = Reach()
        closed = clock()
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            if await self._beat(reach, close=clock() - closed >= CLOSE_SECONDS):
                closed = clock()

    async def stop(self) -> None:
        """Say that this process answers no more calls, and close those still open. To be called last."""
        try:
            async with self._database.transaction() as session:
                await mark_stopped(session, self.id)
                await close_stopped(session)
        except Exception as error:
            if not is_away(error):
                raise
            _log.warning(
                "the database is away; another process will close this one's calls", **describe(error)
            )

    async def _beat(self, reach: Reach, *, close: bool) -> bool:
        """Beat; whether abandoned calls were closed: where it is due, and nobody is doubted wrongly."""
        try:
            async with asyncio.timeout(BEAT_SECONDS), self._database.transaction() as session:
                await beat(session, self.id, socket.gethostname(), os.getpid())
                close = await reach.measure(session) >= ABANDONED_SECONDS and close
                if close:
                    await close_abandoned(session)
        except Exception as error:
            if not is_away(error):
                raise
            _log.warning("no heartbeat: the database is away", **describe(error))
            return False
        return close


async def close_without_beating(database: Database) -> int:
    """Close abandoned calls, in a process that answers none; returns how many.

    Takes ``ABANDONED_SECONDS`` where a process is silent. Raises when the database is away.
    """
    reach = Reach()
    closed = 0
    while True:
        async with database.transaction() as session:
            if await reach.measure(session) >= ABANDONED_SECONDS:
                return closed + await close_abandoned(session)
            closed += await close_stopped(session)
            if not await session.scalar(_DOUBTED, {"seconds": ABANDONED_SECONDS}):
                return closed
        await asyncio.sleep(HEARTBEAT_SECONDS)
