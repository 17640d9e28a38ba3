"""Webhooks: made, changed, given new secrets, deleted; and messages sent again."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.change import Change
from app.audit.service import Action, Actor, write_audit
from app.errors import Invalid, NotFound
from app.rest.rows import find_row
from app.webhooks import repository
from app.webhooks.guard import Guard, Refused
from app.webhooks.models import WebhookDelivery, WebhookEndpoint
from app.webhooks.schemas import DeliverySummary, WebhookChange, WebhookDetail, WebhookSecret
from app.webhooks.signing import new_secret

RESOURCE = "webhooks"
DELIVERIES = "webhook_deliveries"


async def find(session: AsyncSession, webhook_id: UUID) -> WebhookEndpoint:
    """One webhook. Raises ``NotFound``."""
    return await find_row(session, WebhookEndpoint, webhook_id, "webhook")


async def create(making: Change, wanted: WebhookChange, guard: Guard) -> WebhookSecret:
    """Make one. Raises ``Invalid`` for a URL that nothing may be sent to."""
    _check(wanted.url, guard)
    session, secret = making.session, new_secret()
    endpoint = WebhookEndpoint(id=uuid4(), secret=secret, **wanted.model_dump())
    session.add(endpoint)
    await session.flush()
    await session.refresh(endpoint)
    made = WebhookDetail.model_validate(endpoint)
    await write_audit(session, making.who, Action.CREATE, RESOURCE, str(made.id), after=made)
    return WebhookSecret(**made.model_dump(), secret=secret)


async def change(changing: Change, webhook_id: UUID, wanted: WebhookChange, guard: Guard) -> WebhookDetail:
    """Change one, whole. Messages that wait go to the new address.

    Raises ``NotFound``, and ``Invalid`` for a URL that nothing may be sent to.
    """
    endpoint = await changing.lock(WebhookEndpoint, webhook_id, "webhook")
    _check(wanted.url, guard)
    before = WebhookDetail.model_validate(endpoint)
    for field, value in wanted.model_dump().items():
        setattr(endpoint, field, value)
    return await _changed(changing, Action.CHANGE, endpoint, before)


async def rotate(changing: Change, webhook_id: UUID, *, keep_old: bool) -> WebhookSecret:
    """Give one a new secret. ``keep_old``: the old one signs too, until the next rotation without it.

    Raises ``NotFound``.
    """
    endpoint = await changing.lock(WebhookEndpoint, webhook_id, "webhook")
    before = WebhookDetail.model_validate(endpoint)
    secret, newest = new_secret(), endpoint.secret.split()[0]
    endpoint.secret = f"{secret} {newest}" if keep_old else secret
    after = await _changed(changing, Action.ROTATE, endpoint, before)
    return WebhookSecret(**after.model_dump(), secret=secret)


async def remove(changing: Change, webhook_id: UUID) -> None:
    """Delete one, and its messages. Raises ``NotFound``."""
    endpoint = await changing.lock(WebhookEndpoint, webhook_id, "webhook")
    before = WebhookDetail.model_validate(endpoint)
    await changing.session.delete(endpoint)
    await write_audit(changing.session, changing.who, Action.DELETE, RESOURCE, str(webhook_id), before=before)


async def find_delivery(session: AsyncSession, delivery_id: UUID) -> WebhookDelivery:
    """One message. Raises ``NotFound``."""
    return await find_row(session, WebhookDelivery, delivery_id, "message")


async def send_again(session: AsyncSession, who: Actor, delivery_id: UUID) -> DeliverySummary:
    """Have a message sent once more, whatever became of it. Raises ``NotFound``."""
    before = DeliverySummary.model_validate(await find_delivery(session, delivery_id))
    sent = await repository.send_again(session, delivery_id)
    if sent is None:
        raise NotFound(f"there is no message {delivery_id}")
    after = DeliverySummary.model_validate(sent)
    await write_audit(
        session,
        who,
        Action.RETRY,
        DELIVERIES,
        str(delivery_id),
        before={"state": before.state, "attempts": before.attempts},
        after={"state": after.state, "attempts": after.attempts},
    )
    return after


async def _changed(
    changing: Change, action: Action, endpoint: WebhookEndpoint, before: WebhookDetail
) -> WebhookDetail:
    endpoint.revision += 1
    endpoint.updated_at = datetime.now(UTC)
    after = WebhookDetail.model_validate(endpoint)
    await write_audit(
        changing.session, changing.who, action, RESOURCE, str(after.id), before=before, after=after
    )
    return after


def _check(url: str, guard: Guard) -> None:
    try:
        guard.check_url(url)
    except Refused as error:
        raise Invalid("body.url", str(error)) from None
