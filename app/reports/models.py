"""Tables of figures that are too many to be counted anew for each question."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, BigInteger, Identity, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Timestamp


class LatencyHour(Base):
    """How often each latency occurred in an hour (UTC) that is over, by agent and stage.

    ``counts[i]`` turns took ``milliseconds[i]``, rounded to whole ones: percentiles over any hours are exact
    to half a millisecond.
    """

    __tablename__ = "latency_hours"

    hour: Mapped[Timestamp] = mapped_column(primary_key=True)
    agent: Mapped[str] = mapped_column(primary_key=True)
    stage: Mapped[str] = mapped_column(primary_key=True)
    milliseconds: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    counts: Mapped[list[int]] = mapped_column(ARRAY(Integer))


class SystemEvent(Base):
    """Something operators should look at, such as a latency that grew."""

    __tablename__ = "system_events"
    __table_args__ = (Index(None, "at", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[CreatedAt]
    name: Mapped[str]
    detail: Mapped[dict[str, Any]]
