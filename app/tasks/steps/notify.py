"""Step: the customer's systems are told. The message is written here; ``app.webhooks.sending`` sends it."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from app.postcall.record import FinishedCall
from app.postcall.repository import results
from app.postcall.steps import SKIPPED, Done
from app.tasks.tools import Tools
from app.webhooks.body import CALL_ENDED, call_ended
from app.webhooks.repository import endpoints_for, tell


async def notify(call: FinishedCall, tools: Tools) -> Done:
    """Have each endpoint told that asks for ended calls."""
    async with tools.database.transaction() as session:
        endpoints = await endpoints_for(session, CALL_ENDED)
        body = call_ended(call, await results(session, call.id, call.started_at))
    if not endpoints:
        return SKIPPED

    async def write(session: AsyncSession) -> None:
        await tell(session, endpoints, CALL_ENDED, call.id, body)

    return Done({"endpoints": len(endpoints)}, write)
