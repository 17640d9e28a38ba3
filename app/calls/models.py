"""Tables of the calls, and of the processes that answer them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Timestamp


class Instance(Base):
    """A process that answers calls. Times are the database's clock, so that hosts need not agree.

    Gone: ``stopped_at`` is set, or ``heartbeat_at`` is too old.
    """

    __tablename__ = "instances"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[CreatedAt]
    heartbeat_at: Mapped[CreatedAt]
    stopped_at: Mapped[Timestamp | None]


class Call(Base):
    """One answered leg. The columns from ``ended_at`` on are empty while it lasts."""

    __tablename__ = "calls"
    __table_args__ = (
        # not unique: the carrier may connect the same call to an agent again, after a transfer
        Index(None, "carrier_call_id"),
        # newest first with a cursor, each also narrowed to an agent or an outcome
        Index(None, "started_at", "id"),
        Index(None, "agent", "started_at", "id"),
        Index(None, "outcome", "started_at", "id"),
        # calls in progress, by who answers them
        Index("ix_calls_open", "instance_id", postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    instance_id: Mapped[UUID] = mapped_column(ForeignKey("instances.id"))
    carrier: Mapped[str]
    carrier_call_id: Mapped[str]
    direction: Mapped[str]
    from_number: Mapped[str]
    to_number: Mapped[str]
    agent: Mapped[str]
    agent_version: Mapped[int]
    started_at: Mapped[Timestamp]
    ended_at: Mapped[Timestamp | None]
    duration_seconds: Mapped[float | None]
    cause: Mapped[str | None]
    outcome: Mapped[str | None]


class Turn(Base):
    """A caller's words and the agent's reply. Latency columns are milliseconds, as in ``TurnLatency``."""

    __tablename__ = "turns"
    __table_args__ = (
        # latency of a period; greetings and reprompts have none and stay out
        Index("ix_turns_answered_at", "at", postgresql_where=text("response_ms IS NOT NULL")),
    )

    call_id: Mapped[UUID] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[Timestamp]
    caller_text: Mapped[str]
    caller_started: Mapped[float | None]
    caller_ended: Mapped[float | None]
    reply_text: Mapped[str]
    heard_text: Mapped[str]
    interrupted: Mapped[bool]
    backchannels: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'"))
    caller_words: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'"))
    caller_confidence: Mapped[float | None]
    caller_language: Mapped[str | None]
    stt_ms: Mapped[float | None]
    endpoint_ms: Mapped[float | None]
    llm_ms: Mapped[float | None]
    phrase_ms: Mapped[float | None]
    tts_ms: Mapped[float | None]
    send_ms: Mapped[float | None]
    response_ms: Mapped[float | None]


class CallEvent(Base):
    """Something worth a line in a call's record. ``number`` orders the events of one call, with gaps."""

    __tablename__ = "call_events"

    call_id: Mapped[UUID] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[Timestamp]
    name: Mapped[str]
    detail: Mapped[dict[str, Any]]
