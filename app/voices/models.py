"""Table of the voices."""

from __future__ import annotations

from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import CreatedAt, Timestamp
from app.rest.rows import RevisedRow


class Voice(RevisedRow):
    """A voice by a name of ours. ``names``: engine -> its own name for it.

    An archived voice cannot be chosen any more.
    """

    __tablename__ = "voices"

    name: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    language: Mapped[str]
    names: Mapped[dict[str, str]] = mapped_column(JSONB)
    rate: Mapped[float]
    pitch: Mapped[float]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    archived_at: Mapped[Timestamp | None]
