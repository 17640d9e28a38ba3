"""Table of the recordings."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Timestamp


class Recording(Base):
    """The sound of a call, left channel the caller, right channel the agent. ``started_at`` is the call's.

    ``state``: recorded (on the disk of the process that answered), kept (in the store), failed, erased.
    ``path``: its key in the store. ``pauses``: spans of silence that were asked for, seconds from, to.
    ``shifts``: where in it what lies on the leg's media clock is heard (``shifts.Shifts``); empty: not known.
    """

    __tablename__ = "recordings"
    __table_args__ = (Index(None, "call_id"), Index(None, "started_at", "id"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    call_id: Mapped[UUID]
    started_at: Mapped[Timestamp]
    state: Mapped[str]
    source: Mapped[str]
    store: Mapped[str]
    path: Mapped[str]
    format: Mapped[str]
    channels: Mapped[int]
    sample_rate: Mapped[int]
    duration_seconds: Mapped[float | None]
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None]
    pauses: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))
    shifts: Mapped[list[Any] | None] = mapped_column(JSONB)
    redacted: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[CreatedAt]
