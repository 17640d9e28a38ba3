"""Hours whose latencies are counted, and turns that are stored after that."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import ARRAY, DateTime, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

SETTLED = timedelta(minutes=10)
"""From the end of an hour until it is counted."""

_LOCK_KEY = 0x7472756E6D

_FORGET = text("DELETE FROM latency_counted WHERE hour = ANY(:hours)").bindparams(
    bindparam("hours", type_=ARRAY(DateTime(timezone=True)))
)


async def count_again(session: AsyncSession, ends: Iterable[datetime]) -> None:
    """Turns that ended then were stored in this transaction: have their hours counted anew, if they were."""
    settled = datetime.now(UTC) - SETTLED
    late = {hour_of(at) for at in ends if at < settled}
    if late:
        await lock_hours(session)
        await session.execute(_FORGET, {"hours": sorted(late)})


async def lock_hours(session: AsyncSession) -> None:
    """Until the end of the transaction nobody else counts hours, or stores turns of those that are over."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})


def hour_of(at: datetime) -> datetime:
    """When the hour (UTC) began in which this is."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
