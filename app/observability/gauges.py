"""What waits in the database and in the broker, as gauges.

Read every ``LOOK_SECONDS`` and not when the metrics are asked for: that must not wait for a database. Each
process reads the same figures, so over processes their maximum counts and not their sum.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from app.db.session import Database, describe, is_away
from app.metrics import (
    BROKER_WAITING,
    DATABASE_READ,
    OUTBOX_OVERDUE_SECONDS,
    OUTBOX_WAITING,
    STEPS_FAILED,
    SYSTEM_EVENTS,
    WEBHOOKS_DEAD,
    WEBHOOKS_OVERDUE_SECONDS,
    WEBHOOKS_WAITING,
)
from app.outbox.repository import waiting
from app.postcall.repository import failed_count
from app.reports.regression import LATENCY_REGRESSION
from app.reports.repository import recent_events
from app.webhooks.repository import pending

LOOK_SECONDS = 15.0

EVENTS = (LATENCY_REGRESSION,)
"""Names of system events that are shown as 0 where there are none, so that an alert has something to see."""

_log = structlog.get_logger(__name__)


class SystemGauges:
    """Sets the gauges for as long as ``run`` runs."""

    def __init__(self, database: Database, broker_waiting: Callable[[], int]) -> None:
        """``broker_waiting``: how many messages wait in the broker. Blocks; raises where it is away."""
        self._database = database
        self._broker_waiting = broker_waiting

    async def run(self) -> None:
        """Read and set, until cancelled. Goes on while the database or the broker is away."""
        while True:
            async with asyncio.TaskGroup() as looks:
                looks.create_task(self._read_database())
                looks.create_task(self._ask_broker())
            await asyncio.sleep(LOOK_SECONDS)

    async def read(self) -> None:
        """Set those of the database. Raises when it is away."""
        async with self._database.transaction() as session:
            owed, told = await waiting(session), await pending(session)
            failed, events = await failed_count(session), await recent_events(session)
        OUTBOX_WAITING.set(owed.calls)
        OUTBOX_OVERDUE_SECONDS.set(owed.overdue_seconds)
        WEBHOOKS_WAITING.set(told.waiting)
        WEBHOOKS_OVERDUE_SECONDS.set(told.overdue_seconds)
        WEBHOOKS_DEAD.set(told.dead)
        STEPS_FAILED.set(failed)
        SYSTEM_EVENTS.clear()
        for name, count in {**dict.fromkeys(EVENTS, 0), **events}.items():
            SYSTEM_EVENTS.labels(name).set(count)
        DATABASE_READ.set(time.time())

    async def _read_database(self) -> None:
        try:
            await self.read()
        except Exception as error:
            if not is_away(error):
                raise
            _log.warning("gauges of the database are not renewed: it is away", **describe(error))

    async def _ask_broker(self) -> None:
        try:
            BROKER_WAITING.set(await asyncio.to_thread(self._broker_waiting))
        except Exception as error:  # noqa: BLE001 - the edge of a foreign library: each transport has its own
            _log.warning("the broker does not say how many messages wait", error=type(error).__name__)
