"""Webhooks as the admin API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.rest.names import Title
from app.webhooks.guard import LONGEST_URL

Event = Literal["call.ended"]
"""One of ``app.webhooks.body.EVENTS``."""

DeliveryState = Literal["waiting", "delivered", "dead"]
Url = Annotated[
    str,
    Field(
        min_length=8,
        max_length=LONGEST_URL,
        pattern=r"^https?://[\x21-\x7e]+$",
        examples=["https://crm.example.com/hooks/calls"],
    ),
]


class WebhookDetail(BaseModel):
    """An address that is told of calls; docs/webhooks.md describes the messages. Its secret is not shown."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    url: str
    title: str
    events: list[str]
    enabled: bool
    revision: int
    created_at: datetime
    updated_at: datetime


class WebhookChange(BaseModel):
    """An address, whole. ``enabled`` false: messages wait until it is true again, and none are made."""

    model_config = ConfigDict(extra="forbid")

    url: Url
    title: Title = ""
    events: list[Event] = Field(default=["call.ended"], min_length=1, max_length=1)
    enabled: bool = True


class WebhookSecret(WebhookDetail):
    """With ``secret``, which signs what is sent there: shown here and never again."""

    secret: str


class DeliverySummary(BaseModel):
    """A message to an address. ``dead``: given up; ``last_status``: HTTP's, of the last try."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    endpoint_id: UUID
    call_id: UUID
    event: str
    state: DeliveryState
    attempts: int
    due_at: datetime
    last_status: int | None
    last_error: str | None
    created_at: datetime
    delivered_at: datetime | None


class DeliveryDetail(DeliverySummary):
    """With what is sent."""

    body: dict[str, Any]
