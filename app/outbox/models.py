"""Table of the outbox."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Timestamp


class OutboxMessage(Base):
    """Work that a call still owes. The row goes when all of it is done.

    ``due_at``: not before this; a message that was handed to the broker is due again after a while, in case
    it was lost there.
    """

    __tablename__ = "outbox"
    __table_args__ = (UniqueConstraint("topic", "call_id"), Index(None, "due_at"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    topic: Mapped[str]
    call_id: Mapped[UUID]
    created_at: Mapped[CreatedAt]
    due_at: Mapped[CreatedAt]
    sent: Mapped[int] = mapped_column(server_default=text("0"))
    sent_at: Mapped[Timestamp | None]
