"""Hand the outbox to the broker, also while no web process runs."""

from __future__ import annotations

import structlog

from app.outbox.relay import BrokerAway, relay_once
from app.tasks.celery import celery
from app.tasks.runtime import run_task
from app.tasks.sending import publish
from app.tasks.tools import Tools

_log = structlog.get_logger(__name__)


@celery.task(name="relay_outbox")  # type: ignore[untyped-decorator]
def relay_outbox() -> int:
    """Publish what is due; returns how many messages."""
    return run_task(_relay) or 0


async def _relay(tools: Tools) -> int:
    lease_seconds = tools.settings.after_calls.lease_seconds
    try:
        return await relay_once(tools.database, lambda calls: publish(celery, calls), lease_seconds)
    except BrokerAway as error:
        _log.warning("the work after calls waits", away="broker", reason=str(error))
        return 0
