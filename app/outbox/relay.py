"""Handing the outbox to the broker: what is due is published, and is due again later in case it gets lost.

The rows stay locked while their messages are published. When the broker is away nothing is committed, so they
stay due; a process killed in between publishes twice at most, which does no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import UUID

import structlog

from app.db.session import Database, describe, is_away
from app.metrics import OUTBOX_FAILURES, OUTBOX_SENT
from app.outbox import repository

BATCH = 100  # messages in one transaction
BACKOFF_SECONDS = (
    1.0,
    2.0,
    5.0,
    10.0,
    30.0,
)  # while the broker or the database is away; the last from then on

_log = structlog.get_logger(__name__)

Publish = Callable[[Sequence[UUID]], None]
"""Hands calls to the broker; blocks. Raises ``BrokerAway``."""


class BrokerAway(Exception):
    """The broker does not take messages. The text says why, and what to look at."""


async def relay_once(database: Database, publish: Publish, lease_seconds: float) -> int:
    """Publish all that is due now; returns how many messages. Raises ``BrokerAway``, SQLAlchemy's errors."""
    published = 0
    while True:
        async with database.transaction() as session:
            due = await repository.claim(session, lease_seconds=lease_seconds, most=BATCH)
            if due:
                await asyncio.to_thread(publish, due)
        published += len(due)
        OUTBOX_SENT.inc(len(due))
        if len(due) < BATCH:
            return published


class Relay:
    """Publishes for as long as ``run`` runs."""

    def __init__(
        self, database: Database, publish: Publish, *, look_seconds: float, lease_seconds: float
    ) -> None:
        """``look_seconds``: between looks, where nobody wakes it."""
        self._database = database
        self._publish = publish
        self._look_seconds = look_seconds
        self._lease_seconds = lease_seconds
        self._woken = asyncio.Event()
        self._failures = 0

    def wake(self) -> None:
        """Something was committed that is due. To be called on the event loop."""
        self._woken.set()

    async def run(self) -> None:
        """Publish what is due, until cancelled. Goes on while the broker or the database is away."""
        while True:
            pause = await self._look()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()
                if self._failures:  # everybody who ends a call wakes it: that must not make it hammer
                    await asyncio.sleep(pause)
            self._woken.clear()

    async def _look(self) -> float:
        """Publish what is due; returns how long to wait for the next look, in seconds."""
        try:
            await relay_once(self._database, self._publish, self._lease_seconds)
        except BrokerAway as error:
            return self._failed("broker", reason=str(error))
        except Exception as error:
            if not is_away(error):
                raise
            return self._failed("database", **describe(error))
        if self._failures:
            _log.info("the work after calls is handed on again", failures=self._failures)
        self._failures = 0
        return self._look_seconds

    def _failed(self, what: str, **details: str) -> float:
        OUTBOX_FAILURES.labels(what).inc()
        if self._failures == 0:
            _log.warning("the work after calls waits", away=what, **details)
        self._failures += 1
        return BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS)) - 1]
