"""What a web process does for the work after calls: it hands on what is owed, and may keep a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.db.session import Database
from app.observability.gauges import SystemGauges
from app.outbox.relay import Relay
from app.tasks.child import keep_worker, wants_child
from app.tasks.depth import BrokerDepth
from app.tasks.sending import Publisher
from config.settings import Settings


@asynccontextmanager
async def after_calls(settings: Settings, database: Database) -> AsyncIterator[Relay]:
    """Relay, show what waits, keep a worker, until the block ends. Wake the relay when a call has ended."""
    after = settings.after_calls
    publisher = Publisher(settings)
    relay = Relay(
        database,
        publisher.post_calls,
        look_seconds=after.relay_seconds,
        lease_seconds=after.lease_seconds,
    )
    depth = BrokerDepth(settings)
    gauges = SystemGauges(database, depth)
    keeping = [relay.run(), gauges.run(), *([keep_worker()] if wants_child(settings) else [])]
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work) for work in keeping]
            try:
                yield relay
            finally:
                for task in running:
                    task.cancel()
    finally:
        depth.close()
        publisher.close()
