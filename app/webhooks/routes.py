"""``/webhooks``: addresses that are told of calls, and what they were told. For admins."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request
from pydantic import BaseModel
from sqlalchemy import select

from app.audit.change import Acting, Changing, Making
from app.audit.service import Who
from app.auth.service import Role
from app.db.request import Transaction
from app.rest.listing import Asked, Listing
from app.rest.route import SECRET, rest_router
from app.rest.versions import ABSENT, CHANGED, STALE, UNCHANGED, Reading
from app.webhooks import service
from app.webhooks.guard import Guard
from app.webhooks.models import WebhookDelivery, WebhookEndpoint
from app.webhooks.schemas import (
    DeliveryDetail,
    DeliveryState,
    DeliverySummary,
    WebhookChange,
    WebhookDetail,
    WebhookSecret,
)

WEBHOOKS = Listing(
    "webhooks",
    WebhookDetail,
    sorts={"created_at": WebhookEndpoint.created_at, "title": WebhookEndpoint.title},
    key=(WebhookEndpoint.id,),
    sort="created_at",
)
DELIVERIES = Listing(
    "deliveries",
    DeliverySummary,
    sorts={"created_at": WebhookDelivery.created_at, "due_at": WebhookDelivery.due_at},
    key=(WebhookDelivery.id,),
    sort="-created_at",
)

router = rest_router("/webhooks", "webhooks", Role.ADMIN)


def guard(request: Request) -> Guard:
    """Where messages may go, by the settings of this process."""
    found: Guard = request.app.state.parts.guard
    return found


Guarding = Annotated[Guard, Depends(guard)]


@router.get("", response_model=WEBHOOKS.schema, response_model_exclude_unset=True)
async def webhooks(session: Transaction, asked: Annotated[Asked, Depends(WEBHOOKS.asked)]) -> BaseModel:
    """Webhooks, oldest first."""
    return await WEBHOOKS.answer(session, select(WebhookEndpoint), asked)


@router.post("", status_code=HTTPStatus.CREATED, openapi_extra=SECRET)
async def create(making: Making, guarding: Guarding, wanted: WebhookChange) -> WebhookSecret:
    """Make a webhook, to be told of calls that end from now on. Its secret is in this answer alone."""
    made = await service.create(making, wanted, guarding)
    return making.answer(made, "webhooks", str(made.id))


@router.get("/deliveries", response_model=DELIVERIES.schema, response_model_exclude_unset=True)
async def deliveries(
    session: Transaction,
    asked: Annotated[Asked, Depends(DELIVERIES.asked)],
    state: Annotated[
        DeliveryState | None, Query(description="Only these; `dead` is the list of those given up")
    ] = None,
    endpoint_id: Annotated[UUID | None, Query(description="Only to this webhook")] = None,
    call_id: Annotated[UUID | None, Query(description="Only about this call")] = None,
) -> BaseModel:
    """Messages, newest first. What was delivered is kept for 30 days."""
    query = select(WebhookDelivery)
    for column, value in (
        (WebhookDelivery.state, state),
        (WebhookDelivery.endpoint_id, endpoint_id),
        (WebhookDelivery.call_id, call_id),
    ):
        if value is not None:
            query = query.where(column == value)
    return await DELIVERIES.answer(session, query, asked)


@router.get("/deliveries/{delivery_id}", responses=ABSENT)
async def delivery(session: Transaction, delivery_id: UUID) -> DeliveryDetail:
    """One message, with what is sent."""
    return DeliveryDetail.model_validate(await service.find_delivery(session, delivery_id))


@router.post("/deliveries/{delivery_id}/send", status_code=HTTPStatus.ACCEPTED, responses=ABSENT)
async def send(session: Transaction, who: Who, delivery_id: UUID) -> DeliverySummary:
    """Send a message again, with all its tries: one that was given up, or that its receiver lost."""
    return await service.send_again(session, who, delivery_id)


@router.get("/{webhook_id}", responses=ABSENT | UNCHANGED)
async def webhook(session: Transaction, webhook_id: UUID, reading: Reading) -> WebhookDetail:
    """One webhook, without its secret."""
    return reading.answer(WebhookDetail.model_validate(await service.find(session, webhook_id)))


@router.put("/{webhook_id}", responses=ABSENT | CHANGED)
async def change(
    changing: Changing, guarding: Guarding, webhook_id: UUID, wanted: WebhookChange
) -> WebhookDetail:
    """Change a webhook, whole: what is left out gets its default."""
    return changing.answer(await service.change(changing, webhook_id, wanted, guarding))


@router.post("/{webhook_id}/rotate", responses=ABSENT | STALE, openapi_extra=SECRET)
async def rotate(
    acting: Acting,
    webhook_id: UUID,
    keep_old: Annotated[
        bool, Query(description="The old secret signs too, until the next rotation without it")
    ] = True,
) -> WebhookSecret:
    """Give a webhook a new secret. It is in this answer alone."""
    return acting.answer(await service.rotate(acting, webhook_id, keep_old=keep_old))


@router.delete("/{webhook_id}", status_code=HTTPStatus.NO_CONTENT, responses=ABSENT | CHANGED)
async def remove(changing: Changing, webhook_id: UUID) -> None:
    """Delete a webhook and its messages."""
    await service.remove(changing, webhook_id)
