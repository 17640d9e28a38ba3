"""``/webhooks``: addresses that are told of calls, and what they were told. For admins."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import select

from app.audit.service import Who
from app.auth.service import Role
from app.db.request import Transaction
from app.errors import problem_docs
from app.rest.listing import Asked, Listing
from app.rest.route import SECRET, rest_router
from app.rest.versions import CHANGED, UNCHANGED, IfMatch, IfMatchOptional, IfNoneMatch, location, show
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

_ABSENT = problem_docs(HTTPStatus.NOT_FOUND)
_STALE = problem_docs(HTTPStatus.PRECONDITION_FAILED)


def guard(request: Request) -> Guard:
    """Where messages may go, by the settings of this process."""
    found: Guard = request.app.state.parts.guard
    return found


Guarding = Annotated[Guard, Depends(guard)]


@router.get("", response_model=WEBHOOKS.schema, response_model_exclude_unset=True)
async def webhooks(session: Transaction, asked: Annotated[Asked, Depends(WEBHOOKS.asked)]) -> BaseModel:
    """Webhooks, oldest first."""
    rows, cursor = await WEBHOOKS.rows(session, select(WebhookEndpoint), asked)
    return WEBHOOKS.page([WebhookDetail.model_validate(row) for row in rows], cursor, asked)


@router.post("", status_code=HTTPStatus.CREATED, openapi_extra=SECRET)
async def create(
    session: Transaction,
    who: Who,
    guarding: Guarding,
    wanted: WebhookChange,
    request: Request,
    response: Response,
) -> WebhookSecret:
    """Make a webhook, to be told of calls that end from now on. Its secret is in this answer alone."""
    made = await service.create(session, who, wanted, guarding)
    response.headers["Location"] = location(request, "webhooks", str(made.id))
    show(response, made.revision)
    return made


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
    rows, cursor = await DELIVERIES.rows(session, query, asked)
    return DELIVERIES.page([DeliverySummary.model_validate(row) for row in rows], cursor, asked)


@router.get("/deliveries/{delivery_id}", responses=_ABSENT)
async def delivery(session: Transaction, delivery_id: UUID) -> DeliveryDetail:
    """One message, with what is sent."""
    return DeliveryDetail.model_validate(await service.find_delivery(session, delivery_id))


@router.post("/deliveries/{delivery_id}/send", status_code=HTTPStatus.ACCEPTED, responses=_ABSENT)
async def send(session: Transaction, who: Who, delivery_id: UUID) -> DeliverySummary:
    """Send a message again, with all its tries: one that was given up, or that its receiver lost."""
    return await service.send_again(session, who, delivery_id)


@router.get("/{webhook_id}", responses=_ABSENT | UNCHANGED)
async def webhook(
    session: Transaction, webhook_id: UUID, response: Response, if_none_match: IfNoneMatch = None
) -> WebhookDetail:
    """One webhook, without its secret."""
    found = await service.find(session, webhook_id)
    show(response, found.revision, if_none_match)
    return WebhookDetail.model_validate(found)


@router.put("/{webhook_id}", responses=_ABSENT | CHANGED)
async def change(
    session: Transaction,
    who: Who,
    guarding: Guarding,
    webhook_id: UUID,
    wanted: WebhookChange,
    response: Response,
    if_match: IfMatch = None,
) -> WebhookDetail:
    """Change a webhook, whole: what is left out gets its default."""
    changed = await service.change(session, who, webhook_id, wanted, guarding, if_match)
    show(response, changed.revision)
    return changed


@router.post("/{webhook_id}/rotate", responses=_ABSENT | _STALE, openapi_extra=SECRET)
async def rotate(
    session: Transaction,
    who: Who,
    webhook_id: UUID,
    response: Response,
    keep_old: Annotated[
        bool, Query(description="The old secret signs too, until the next rotation without it")
    ] = True,
    if_match: IfMatchOptional = None,
) -> WebhookSecret:
    """Give a webhook a new secret. It is in this answer alone."""
    rotated = await service.rotate(session, who, webhook_id, keep_old=keep_old, if_match=if_match)
    show(response, rotated.revision)
    return rotated


@router.delete("/{webhook_id}", status_code=HTTPStatus.NO_CONTENT, responses=_ABSENT | CHANGED)
async def remove(session: Transaction, who: Who, webhook_id: UUID, if_match: IfMatch = None) -> None:
    """Delete a webhook and its messages."""
    await service.remove(session, who, webhook_id, if_match)
