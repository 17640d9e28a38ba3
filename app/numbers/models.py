"""Table of the telephone numbers."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import CreatedAt
from app.rest.rows import RevisedRow


class Number(RevisedRow):
    """A number (E.164) that callers dial, and the agent that answers there.

    ``opening``: ``app.numbers.hours.Opening`` as JSON; null: always open.
    """

    __tablename__ = "numbers"
    __table_args__ = (Index(None, "agent"),)

    number: Mapped[str] = mapped_column(primary_key=True)
    agent: Mapped[str] = mapped_column(ForeignKey("agents.name"))
    title: Mapped[str]
    opening: Mapped[dict[str, Any] | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
