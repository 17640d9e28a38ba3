"""Table of requests that may be sent again."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt


class IdempotentRequest(Base):
    """The answer to a request with an ``Idempotency-Key``. ``fingerprint``: SHA-256 of what was asked.

    ``body`` is null where it held a secret.
    """

    __tablename__ = "idempotent_requests"
    __table_args__ = (Index(None, "created_at"),)

    key_id: Mapped[int] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int]
    headers: Mapped[dict[str, str]]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
