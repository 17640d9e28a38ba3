"""Calls as the admin API shows them. Times are UTC; durations and latencies carry their unit in the name."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class _Schema(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class CallSummary(_Schema):
    """One call. ``ended_at`` and what follows from the end are null while the call lasts.

    From ``disposition`` on: what the work after the call found, null before it is done. ``caller_seconds``
    and ``agent_seconds``: how long each spoke. ``barge_ins``: how often the caller took the floor from the
    agent, ``interruptions``: the agent from the caller. ``words_deleted_at``: since when nothing is known
    any more of what was said.
    """

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
    language: str | None
    prompt: str | None
    prompt_version: int | None
    voice: str | None
    disposition: str | None
    sentiment: str | None
    score: float | None
    turn_count: int | None
    barge_ins: int | None
    interruptions: int | None
    caller_seconds: float | None
    agent_seconds: float | None
    redacted_at: datetime | None
    words_deleted_at: datetime | None


class LegDetail(_Schema):
    """One connection of a call to a carrier; ``index`` counts them."""

    index: int
    carrier: str
    carrier_call_id: str
    direction: str
    from_number: str
    to_number: str
    answered_at: datetime
    ended_at: datetime | None
    cause: str | None


class SegmentDetail(_Schema):
    """Something that one side said. Times are seconds of the call's media clock, where they are known.

    ``speaker``: caller or agent. ``heard_text``: what of it the caller heard. ``turn``: the turn's index.
    """

    turn: int
    speaker: str
    started: float | None
    ended: float | None
    text: str
    heard_text: str
    confidence: float | None
    language: str | None


class Segments(_Schema):
    """A call's transcript in order."""

    segments: list[SegmentDetail]


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

    ``caller_started`` and ``caller_ended``, by voice activity, ``reply_started`` and ``reply_ended``, as
    heard, are seconds of the call's media clock.
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
    reply_started: float | None
    reply_ended: float | None
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

    legs: list[LegDetail]
    turns: list[TurnDetail]
    events: list[EventDetail]


class Turns(_Schema):
    """A call's turns in order."""

    turns: list[TurnDetail]
