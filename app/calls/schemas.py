"""Calls as the admin API shows them. Times are UTC; durations and latencies carry their unit in the name."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class _Schema(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class CallSummary(_Schema):
    """One call. What follows ``started_at`` is null while the call lasts."""

    id: UUID
    carrier: str
    carrier_call_id: str
    direction: str
    from_number: str
    to_number: str
    agent: str
    agent_version: int
    started_at: datetime
    ended_at: datetime | None
    duration_seconds: float | None
    cause: str | None
    outcome: str | None


class CallPage(_Schema):
    """Some calls, newest first. ``next_cursor`` asks for those after them; null: there are none."""

    calls: list[CallSummary]
    next_cursor: str | None


class StageTimes(_Schema):
    """Milliseconds of each stage of one reply; null: the stage did not happen."""

    stt: float | None
    endpoint: float | None
    llm: float | None
    phrase: float | None
    tts: float | None
    send: float | None
    response: float | None


class BackchannelDetail(_Schema):
    """What the caller said over a reply without taking the floor, in seconds of the call's media clock.

    ``kind``: ``backchannel`` ("mm-hmm"), ``noise`` or ``echo`` of the agent itself.
    """

    text: str
    kind: str
    started: float
    ended: float


class CallerWordDetail(_Schema):
    """A word of the caller, in seconds of the call's media clock; ``confidence``, 0 to 1, may be unknown."""

    text: str
    started: float
    ended: float
    confidence: float | None


class TurnDetail(_Schema):
    """A caller's words and the reply. ``heard_text`` is what of the reply the caller heard.

    ``caller_started`` and ``caller_ended``, by voice activity, are seconds of the call's media clock.
    What the recogniser tells of ``caller_text``: ``caller_words``, those of its words whose times it knows;
    ``caller_confidence``, 0 to 1, of the least sure part; ``caller_language`` (BCP 47) of most of it.
    """

    index: int
    at: datetime
    caller_text: str
    caller_started: float | None
    caller_ended: float | None
    caller_words: list[CallerWordDetail]
    caller_confidence: float | None
    caller_language: str | None
    reply_text: str
    heard_text: str
    interrupted: bool
    backchannels: list[BackchannelDetail]
    latency_ms: StageTimes


class EventDetail(_Schema):
    """Something worth a line in the call's record."""

    at: datetime
    name: str
    detail: dict[str, Any]


class CallDetail(CallSummary):
    """One call with its transcript and what was noted in it."""

    turns: list[TurnDetail]
    events: list[EventDetail]


class StageLatency(_Schema):
    """Percentiles of one stage over ``count`` turns; null where there were none."""

    stage: str
    count: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None


class LatencyReport(_Schema):
    """Latency by stage of the turns that ended from ``since`` until before ``until``.

    The stage ``response`` is the whole: from the caller's last speech to the reply's first audio.
    """

    since: datetime | None
    until: datetime | None
    agent: str | None
    turns: int
    stages: list[StageLatency]
