"""Tables of the webhooks: where to, and what was sent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Timestamp
from app.rest.rows import RevisedRow


class WebhookEndpoint(RevisedRow):
    """An address of the customer's. ``secret`` signs what is sent there; it is shown once, when made."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    url: Mapped[str]
    title: Mapped[str]
    secret: Mapped[str]
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    enabled: Mapped[bool]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class WebhookDelivery(Base):
    """One message to one address. ``state``: waiting, delivered, dead (given up; can be sent again)."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "event", "call_id"),
        Index(None, "created_at", "id"),
        Index(None, "call_id"),
        Index("ix_webhook_deliveries_dead", "created_at", postgresql_where=text("state = 'dead'")),
        Index("ix_webhook_deliveries_open", "due_at", postgresql_where=text("state = 'waiting'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    call_id: Mapped[UUID]
    event: Mapped[str]
    body: Mapped[dict[str, Any]]
    state: Mapped[str]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[CreatedAt]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    delivered_at: Mapped[Timestamp | None]
