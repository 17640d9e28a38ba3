"""Tables of the calls, and of the processes that answer them.

Calls, turns and events are partitioned by month, each by its own time, so that old ones can be dropped and
the newest stay small enough for memory. No foreign key joins them: what deletes calls deletes the rest
(``app.calls.erasing.tables`` lists the tables).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import TSVECTOR
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
    """One conversation. The columns from ``ended_at`` on are empty while it lasts.

    Those from ``disposition`` on are results of the work after the call, kept here to be listed and counted
    by: who spoke how long, in seconds; how often the caller took the floor (``barge_ins``), and the agent
    from the caller (``interruptions``).
    """

    __tablename__ = "calls"
    __table_args__ = (
        # not unique: the carrier may connect the same call to an agent again, after a transfer
        Index(None, "carrier_call_id"),
        # newest first with a cursor, each also narrowed to an agent or an outcome
        Index(None, "started_at", "id"),
        Index(None, "agent", "started_at", "id"),
        Index(None, "outcome", "started_at", "id"),
        Index(None, "disposition", "started_at", "id"),
        Index(None, "from_number", "started_at", "id"),
        Index(None, "to_number", "started_at", "id"),
        # calls in progress, by who answers them
        Index("ix_calls_open", "instance_id", postgresql_where=text("ended_at IS NULL")),
        # calls of which there are words, oldest first
        Index("ix_calls_wordy", "started_at", "id", postgresql_where=text("words_deleted_at IS NULL")),
        {"postgresql_partition_by": "RANGE (started_at)"},
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
    started_at: Mapped[Timestamp] = mapped_column(primary_key=True)
    ended_at: Mapped[Timestamp | None]
    duration_seconds: Mapped[float | None]
    cause: Mapped[str | None]
    outcome: Mapped[str | None]
    language: Mapped[str | None]
    prompt: Mapped[str | None]
    prompt_version: Mapped[int | None]
    voice: Mapped[str | None]
    disposition: Mapped[str | None]
    sentiment: Mapped[str | None]
    score: Mapped[float | None]
    turn_count: Mapped[int | None]
    barge_ins: Mapped[int | None]
    interruptions: Mapped[int | None]
    caller_seconds: Mapped[float | None]
    agent_seconds: Mapped[float | None]
    redacted_at: Mapped[Timestamp | None]
    words_deleted_at: Mapped[Timestamp | None]


class Leg(Base):
    """One carrier-side connection of a call; ``index`` counts them. ``started_at`` is the call's."""

    __tablename__ = "legs"
    __table_args__ = ({"postgresql_partition_by": "RANGE (started_at)"},)

    call_id: Mapped[UUID] = mapped_column(primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    started_at: Mapped[Timestamp] = mapped_column(primary_key=True)
    carrier: Mapped[str]
    carrier_call_id: Mapped[str]
    direction: Mapped[str]
    from_number: Mapped[str]
    to_number: Mapped[str]
    answered_at: Mapped[Timestamp]
    ended_at: Mapped[Timestamp | None]
    cause: Mapped[str | None]


class CallText(Base):
    """The words of a call, for full-text search. ``config``: PostgreSQL's name of the language's rules.

    ``started_at`` is the call's: matches are found newest first without reading the older ones.
    """

    __tablename__ = "call_texts"
    __table_args__ = (
        Index(None, "started_at", "call_id"),
        # without fastupdate: a search would read the pending list first
        Index(None, "document", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
        {"postgresql_partition_by": "RANGE (started_at)"},
    )

    call_id: Mapped[UUID] = mapped_column(primary_key=True)
    started_at: Mapped[Timestamp] = mapped_column(primary_key=True)
    config: Mapped[str]
    document: Mapped[Any] = mapped_column(TSVECTOR)


class Turn(Base):
    """A caller's words and the agent's reply. Latency columns are milliseconds, as in ``TurnLatency``."""

    __tablename__ = "turns"
    __table_args__ = (
        # latency of a period; greetings and reprompts have none and stay out
        Index("ix_turns_answered_at", "at", postgresql_where=text("response_ms IS NOT NULL")),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    call_id: Mapped[UUID] = mapped_column(primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[Timestamp] = mapped_column(primary_key=True)
    caller_text: Mapped[str]
    caller_started: Mapped[float | None]
    caller_ended: Mapped[float | None]
    reply_text: Mapped[str]
    heard_text: Mapped[str]
    reply_started: Mapped[float | None]
    reply_ended: Mapped[float | None]
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
    __table_args__ = ({"postgresql_partition_by": "RANGE (at)"},)

    call_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[Timestamp] = mapped_column(primary_key=True)
    name: Mapped[str]
    detail: Mapped[dict[str, Any]]


class CountedHour(Base):
    """An hour (UTC) whose latencies are counted, also where there were none. ``app.reports.latency``.

    A turn that is stored later takes the row away, so that its hour is counted again.
    """

    __tablename__ = "latency_counted"

    hour: Mapped[Timestamp] = mapped_column(primary_key=True)
    counted_at: Mapped[CreatedAt]


class RefusedCall(Base):
    """A call that was turned away: ``full`` or ``draining``. Nothing of the caller is kept."""

    __tablename__ = "refused_calls"
    __table_args__ = (Index(None, "at"),)

    carrier_call_id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[Timestamp]
    reason: Mapped[str]
