"""Send the webhooks' messages that are due."""

from __future__ import annotations

from app.tasks.celery import celery
from app.tasks.runtime import run_task
from app.tasks.sending import DELIVER
from app.tasks.tools import Tools


@celery.task(name=DELIVER)  # type: ignore[untyped-decorator]
def deliver_webhooks() -> int:
    """Send them; returns how many tries that were."""
    return run_task(_deliver) or 0


async def _deliver(tools: Tools) -> int:
    return await tools.sender.send_due()
