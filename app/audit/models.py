"""Table of the audit log. Rows are added and, with the erasure of a person, emptied; never changed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt


class AuditEntry(Base):
    """One change. ``before`` and ``after``: the resource as the API shows it; no secrets, no personal data.

    ``actor``: the key's prefix and label as they were, ``trunkline`` for the command line and for itself.
    """

    __tablename__ = "audit_log"
    __table_args__ = (Index(None, "at", "id"), Index(None, "resource", "resource_id", "id"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[CreatedAt]
    key_id: Mapped[int | None]
    actor: Mapped[str]
    action: Mapped[str]
    resource: Mapped[str]
    resource_id: Mapped[str]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
