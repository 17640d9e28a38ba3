"""SQL of the webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import any_, delete, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.webhooks.models import WebhookDelivery, WebhookEndpoint

WAITING, DELIVERED, DEAD = "waiting", "delivered", "dead"

# Rows are taken for a while, in which nobody else sends them; a worker that dies leaves them due after it.
_CLAIM = text(
    """
    UPDATE webhook_deliveries AS delivery
    SET attempts = delivery.attempts + 1, due_at = now() + make_interval(secs => :lease)
    FROM webhook_endpoints AS endpoint
    WHERE delivery.id IN (
        SELECT due.id FROM webhook_deliveries AS due
        JOIN webhook_endpoints AS asked ON asked.id = due.endpoint_id AND asked.enabled
        WHERE due.state = 'waiting' AND due.due_at <= now()
          AND due.endpoint_id <> ALL(CAST(:busy AS uuid[]))
        ORDER BY due.due_at LIMIT :most FOR UPDATE OF due SKIP LOCKED
    ) AND endpoint.id = delivery.endpoint_id
    RETURNING delivery.id, delivery.endpoint_id, delivery.attempts, delivery.body, endpoint.url,
              endpoint.secret
    """
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message to be sent now. ``attempt`` counts from 1."""

    id: UUID
    endpoint_id: UUID
    attempt: int
    body: dict[str, Any]
    url: str
    secret: str


_PENDING = text(
    """
    SELECT (SELECT count(*) FROM webhook_deliveries WHERE state = 'waiting') AS waiting,
           (SELECT extract(epoch FROM now() - min(due.due_at)) FROM webhook_deliveries AS due
            JOIN webhook_endpoints AS asked ON asked.id = due.endpoint_id AND asked.enabled
            WHERE due.state = 'waiting') AS overdue_seconds,
           (SELECT count(*) FROM webhook_deliveries WHERE state = 'dead') AS dead
    """
)


@dataclass(frozen=True, slots=True)
class Pending:
    """Messages that wait, how long the first that is due has been so, in seconds, and those given up."""

    waiting: int
    overdue_seconds: float
    dead: int


async def endpoints_for(session: AsyncSession, event: str) -> Sequence[UUID]:
    """Those that are to be told of an event now."""
    query = select(WebhookEndpoint.id).where(
        WebhookEndpoint.enabled, literal(event) == any_(WebhookEndpoint.events)
    )
    return (await session.scalars(query.order_by(WebhookEndpoint.id))).all()


async def tell(
    session: AsyncSession, endpoints: Sequence[UUID], event: str, call_id: UUID, body: dict[str, Any]
) -> None:
    """Have a call's message sent to each endpoint, once. One that says something new is a new message."""
    for endpoint in endpoints:
        row = insert(WebhookDelivery).values(
            id=uuid4(), endpoint_id=endpoint, call_id=call_id, event=event, body=body, state=WAITING
        )
        await session.execute(
            row.on_conflict_do_update(
                index_elements=["endpoint_id", "event", "call_id"],
                set_={
                    "id": row.excluded.id,
                    "body": row.excluded.body,
                    "state": WAITING,
                    "attempts": 0,
                    "due_at": func.now(),
                    "last_status": None,
                    "last_error": None,
                    "delivered_at": None,
                },
                where=WebhookDelivery.body != row.excluded.body,
            )
        )


async def claim(
    session: AsyncSession, *, lease_seconds: float, most: int, busy: Sequence[UUID] = ()
) -> list[Claimed]:
    """Take messages that are due, but for ``busy`` endpoints; nobody else takes them within the lease."""
    rows = await session.execute(_CLAIM, {"lease": lease_seconds, "most": most, "busy": list(busy)})
    return [Claimed(row.id, row.endpoint_id, row.attempts, row.body, row.url, row.secret) for row in rows]


async def delivered(session: AsyncSession, claimed: Claimed, status: int) -> None:
    """It was taken."""
    await session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == claimed.id)
        .values(state=DELIVERED, delivered_at=func.now(), last_status=status, last_error=None)
    )


async def failed(
    session: AsyncSession,
    claimed: Claimed,
    *,
    status: int | None,
    error: str,
    retry_seconds: float | None,
) -> None:
    """It was not. ``retry_seconds``: until the next try; ``None``: it is given up."""
    again = retry_seconds is not None
    await session.execute(
        update(WebhookDelivery)
        .where(
            WebhookDelivery.id == claimed.id,
            WebhookDelivery.state == WAITING,
            WebhookDelivery.attempts == claimed.attempt,
        )
        .values(
            state=WAITING if again else DEAD,
            due_at=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, retry_seconds or 0.0),
            last_status=status,
            last_error=error,
        )
    )


async def disable(session: AsyncSession, endpoint_id: UUID) -> None:
    """Tell an endpoint nothing more."""
    await session.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.enabled)
        .values(enabled=False, revision=WebhookEndpoint.revision + 1, updated_at=func.now())
    )


async def send_again(session: AsyncSession, delivery_id: UUID) -> WebhookDelivery | None:
    """Have a message sent once more, with all its tries; ``None``: there is no such message."""
    found: WebhookDelivery | None = await session.scalar(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == delivery_id)
        .values(state=WAITING, attempts=0, due_at=func.now(), delivered_at=None)
        .returning(WebhookDelivery)
        .execution_options(populate_existing=True)
    )
    return found


async def pending(session: AsyncSession) -> Pending:
    """How much is not delivered. What is for endpoints that are told nothing now is not overdue."""
    row = (await session.execute(_PENDING)).one()
    return Pending(row.waiting, max(0.0, float(row.overdue_seconds or 0.0)), row.dead)


async def forget_delivered(session: AsyncSession, days: int) -> int:
    """Delete messages that were taken so long ago; returns how many."""
    gone = await session.scalars(
        delete(WebhookDelivery)
        .where(
            WebhookDelivery.state == DELIVERED,
            WebhookDelivery.delivered_at < func.now() - func.make_interval(0, 0, 0, days),
        )
        .returning(WebhookDelivery.id)
    )
    return len(gone.all())
