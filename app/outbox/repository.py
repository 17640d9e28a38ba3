"""SQL of the outbox: who still owes work, who takes it, and when it is done.

A row is there from the transaction that ends a call until all work after the call is done, so that a message
lost anywhere on the way is sent again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.outbox.models import OutboxMessage

CALL_ENDED = "call_ended"
"""The work after the call."""

ERASE = "erase"
"""Its deletion, as soon as it has ended and nobody works on it."""

MOST_DOUBLINGS = 3
"""How often the lease of a message that has no effect is doubled: 300 s grow to 40 minutes."""

# Two statements at most touch a row at once: the relay's, which skips what is locked, and that of whoever
# works on the call. Oldest first, so that one that fails again and again holds up nobody.
_CLAIM = text(
    """
    UPDATE outbox
    SET sent = sent + 1, sent_at = now(),
        due_at = now()
            + make_interval(secs => CAST(:lease AS double precision) * (1 << least(sent, :doublings)))
    WHERE id IN (
        SELECT id FROM outbox WHERE topic = :topic AND due_at <= now()
        ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED
    )
    RETURNING call_id
    """
)


_KEYS = "unnest(CAST(:keys AS bigint[])) AS key"
_LOCK = text(f"SELECT key FROM {_KEYS} WHERE pg_try_advisory_lock(key)")  # noqa: S608 - a text of our own
_UNLOCK = text(f"SELECT pg_advisory_unlock(key) FROM {_KEYS}")  # noqa: S608 - as above


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is owed: calls in all, and how long the first of those due has been due, in seconds."""

    calls: int
    overdue_seconds: float


async def owe(
    session: AsyncSession, call_ids: Sequence[UUID], *, in_seconds: float = 0.0, topic: str = CALL_ENDED
) -> None:
    """Calls owe their work, from ``in_seconds`` on, also where they owe it already."""
    if not call_ids:
        return
    due_at = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, in_seconds)
    statement = insert(OutboxMessage).values(
        [{"topic": topic, "call_id": call_id, "due_at": due_at} for call_id in sorted(set(call_ids))]
    )
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["topic", "call_id"], set_={"due_at": statement.excluded.due_at, "sent": 0}
        )
    )


async def claim(
    session: AsyncSession, *, lease_seconds: float, most: int, topic: str = CALL_ENDED
) -> list[UUID]:
    """Take calls whose message is due; nobody else gets them until the transaction ends.

    Then they are due again after the lease, which doubles with each message that changed nothing.
    """
    parameters = {"lease": lease_seconds, "doublings": MOST_DOUBLINGS, "topic": topic, "most": most}
    return list(await session.scalars(_CLAIM, parameters))


async def lock(session: AsyncSession, call_id: UUID, *, topic: str = CALL_ENDED) -> bool:
    """Keep everybody else from changing a call's row in this transaction; whether there is one."""
    query = select(OutboxMessage.id).where(OutboxMessage.topic == topic, OutboxMessage.call_id == call_id)
    return await session.scalar(query.with_for_update()) is not None


async def settle(session: AsyncSession, call_id: UUID, *, topic: str = CALL_ENDED) -> None:
    """A call owes nothing any more."""
    await session.execute(
        delete(OutboxMessage).where(OutboxMessage.topic == topic, OutboxMessage.call_id == call_id)
    )


async def postpone(
    session: AsyncSession, call_id: UUID, due_at: datetime, *, topic: str = CALL_ENDED
) -> None:
    """A call's work went on, and what is left of it is due then."""
    await session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.topic == topic, OutboxMessage.call_id == call_id)
        .values(due_at=due_at, sent=0)
    )


async def later(session: AsyncSession, *, topic: str) -> list[UUID]:
    """Calls that owe something of a topic, oldest first."""
    query = select(OutboxMessage.call_id).where(OutboxMessage.topic == topic).order_by(OutboxMessage.id)
    return list(await session.scalars(query))


@asynccontextmanager
async def alone_with(engine: AsyncEngine, call_id: UUID) -> AsyncIterator[bool]:
    """Be the only one who works on a call; whether that could be had at once."""
    async with alone_with_each(engine, [call_id]) as alone:
        yield call_id in alone


@asynccontextmanager
async def alone_with_each(engine: AsyncEngine, call_ids: Sequence[UUID]) -> AsyncIterator[set[UUID]]:
    """Be the only one who works on calls; those with which that could be had at once.

    PostgreSQL frees the locks when the connection ends, in whatever way.
    """
    calls = {call_id.int >> 65: call_id for call_id in call_ids}  # 63 bits of the id
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        keys = list(await connection.scalars(_LOCK, {"keys": list(calls)}))
        try:
            yield {calls[key] for key in keys}
        finally:
            await connection.execute(_UNLOCK, {"keys": keys})


async def waiting(session: AsyncSession, *, topic: str = CALL_ENDED) -> Waiting:
    """How much is owed."""
    overdue = func.extract("epoch", func.now() - func.min(OutboxMessage.due_at))
    query = select(func.count(), overdue).where(OutboxMessage.topic == topic)
    calls, seconds = (await session.execute(query)).one()
    return Waiting(calls, max(0.0, float(seconds or 0.0)))
