"""Step: who spoke how long, and who interrupted whom, into the call's own row."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.models import Call
from app.postcall.record import FinishedCall
from app.postcall.statistics import statistics_of
from app.postcall.steps import Done
from app.tasks.tools import Tools


async def compute_statistics(call: FinishedCall, _: Tools) -> Done:
    """Count them."""
    counted = asdict(statistics_of(call))

    async def write(session: AsyncSession) -> None:
        own = update(Call).where(Call.id == call.id, Call.started_at == call.started_at)
        await session.execute(own.values(**counted))

    return Done(counted, write)
