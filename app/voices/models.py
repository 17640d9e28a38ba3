"""Table of the voices."""

from __future__ import annotations

from sqlalchemy import Integer, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Timestamp


class Voice(Base):
    """A voice by a name of ours. ``names``: engine -> its own name for it.

    ``revision`` counts changes; an archived voice cannot be chosen any more.
    """

    __tablename__ = "voices"

    name: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    language: Mapped[str]
    names: Mapped[dict[str, str]] = mapped_column(JSONB)
    rate: Mapped[float]
    pitch: Mapped[float]
    revision: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    archived_at: Mapped[Timestamp | None]
