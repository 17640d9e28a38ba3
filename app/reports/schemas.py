"""Figures as the admin API shows them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class _Schema(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class StageLatency(_Schema):
    """Percentiles of one stage over ``count`` turns, in milliseconds; null where there were none."""

    stage: str
    count: int
    p50_ms: float | None
    p90_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class LatencyReport(_Schema):
    """Latency by stage of the turns that ended from ``since`` until before ``until``.

    The stage ``response`` is the whole: from the caller's last speech to the reply's first audio.
    """

    since: datetime
    until: datetime
    agent: str | None
    turns: int
    stages: list[StageLatency]


class LatencyDay(_Schema):
    """The same of one day (UTC)."""

    day: date
    turns: int
    stages: list[StageLatency]


class LatencyDays(_Schema):
    """The days of a period in which there were turns, oldest first."""

    agent: str | None
    days: list[LatencyDay]


class CallFigures(_Schema):
    """Calls that began in a period.

    ``refused``: calls turned away because we were full or about to stop, of which no agent is known;
    ``answer_rate``: answered of all these, null where there were none. ``duration_seconds`` is of the calls
    that are over, all of it and its mean. ``outcomes`` and ``dispositions``: how many ended so.
    ``barge_ins``: how often callers took the floor from the agent; ``interruptions``: how often the agent
    took it from them. ``talk_ratio``: time that the agent spoke to time that the caller spoke. What follows
    from the work after the call is of the calls for which it is done.
    """

    calls: int
    refused: int
    answer_rate: float | None
    duration_seconds: float
    mean_duration_seconds: float | None
    turns: int
    barge_ins: int
    interruptions: int
    talk_ratio: float | None
    mean_score: float | None
    outcomes: dict[str, int]
    dispositions: dict[str, int]


class CallFiguresOf(CallFigures):
    """The same of one day or hour (UTC), agent or number: ``of`` says which."""

    of: str


class CallReport(_Schema):
    """Figures of a period: all of it, and its parts in order."""

    since: datetime
    until: datetime
    agent: str | None
    total: CallFigures
    parts: list[CallFiguresOf]


class SystemEventSummary(_Schema):
    """Something operators should look at."""

    id: int
    at: datetime
    name: str
    detail: dict[str, Any]
