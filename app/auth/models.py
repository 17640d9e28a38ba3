"""Table of the API keys. A key itself is never stored."""

from __future__ import annotations

from sqlalchemy import Identity, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Timestamp


class ApiKey(Base):
    """A key by its SHA-256. ``prefix`` is shown so that people can tell keys apart."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    prefix: Mapped[str]
    role: Mapped[str]
    label: Mapped[str]
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Timestamp | None]
    last_used_at: Mapped[Timestamp | None]
    revoked_at: Mapped[Timestamp | None]
