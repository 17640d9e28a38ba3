"""Table of the steps of the work after calls."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Timestamp


class CallStep(Base):
    """One step of one call, and its result.

    ``state``: waiting, done, skipped (not asked for), failed (for good). ``started_at`` is the call's.
    ``error`` says what happened and what to do, without personal data.
    """

    __tablename__ = "call_steps"
    __table_args__ = (
        Index(
            "ix_call_steps_open",
            "state",
            "due_at",
            postgresql_where=text("state IN ('waiting', 'failed')"),
        ),
        {"postgresql_partition_by": "RANGE (started_at)"},
    )

    call_id: Mapped[UUID] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[Timestamp] = mapped_column(primary_key=True)
    state: Mapped[str]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[CreatedAt]
    error: Mapped[str | None]
    result: Mapped[dict[str, Any] | None]
    finished_at: Mapped[Timestamp | None]
