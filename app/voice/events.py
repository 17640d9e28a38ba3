"""What happens in a call, in past tense, as the recorder and the metrics hear of it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from telephony.errors import HangupCause


class Outcome(StrEnum):
    """How a call ended, by who ended it and why."""

    SUCCESS = "success"  # the agent ended it in order: goodbye, transfer
    CALLER = "caller"  # the caller hung up
    CARRIER = "carrier"  # the carrier broke off or stalled
    US = "us"  # our fault
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A leg was answered."""

    call_id: UUID
    at: datetime
    carrier: str
    carrier_call_id: str
    direction: str
    from_number: str
    to_number: str
    agent: str
    agent_version: int
    prompt: str | None = None  # of the database, which the agent's instructions are
    prompt_version: int | None = None
    voice: str | None = None  # of the database
    language: str | None = None  # of the agent, BCP 47


@dataclass(frozen=True, slots=True)
class TurnLatency:
    """Stages of one reply in milliseconds; ``None`` where a stage did not happen.

    ``endpoint`` + ``llm`` + ``phrase`` + ``tts`` + ``send`` = ``response``, the time from the caller's
    last speech to the reply's first audio sent; ``stt`` runs inside ``endpoint``.
    """

    stt: float | None = None  # recogniser asked for its final -> final
    endpoint: float | None = None  # caller's last speech -> end of turn decided
    llm: float | None = None  # end of turn -> first token
    phrase: float | None = None  # first token -> first phrase complete
    tts: float | None = None  # first phrase -> its first audio
    send: float | None = None  # first audio -> first audio sent
    response: float | None = None


STAGES = tuple(stage.name for stage in fields(TurnLatency))


@dataclass(frozen=True, slots=True)
class Backchannel:
    """What the caller said over a reply without taking the floor; ``kind`` is the verdict on it.

    ``started``, ``ended``: seconds of the leg's media clock.
    """

    text: str
    kind: str
    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class CallerWord:
    """A word of the caller. ``started``, ``ended``: seconds of the leg's media clock.

    ``confidence`` is 0 to 1, where the recogniser tells it.
    """

    text: str
    started: float
    ended: float
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class TurnCompleted:
    """A caller's words and the agent's reply to them. Greetings and reprompts have no caller text.

    ``started``, ``ended``: seconds of the leg's media clock, by voice activity; of the reply, of what was
    heard of it. ``heard_text`` is what of ``reply_text`` the caller heard: shorter after a barge-in.
    ``caller_words`` are those words of ``caller_text`` that the recogniser gave times for;
    ``caller_confidence``, 0 to 1, is that of the least sure part of it, ``caller_language`` (BCP 47, as
    heard) that of most of it, where the recogniser tells. ``final_at``: when the final transcript came;
    ``replied_at``: when the reply's first audio was sent, from where its latencies count back.
    """

    call_id: UUID
    at: datetime
    index: int
    caller_text: str
    caller_started: float | None
    caller_ended: float | None
    reply_text: str
    heard_text: str
    interrupted: bool
    latency: TurnLatency = field(default_factory=TurnLatency)
    backchannels: tuple[Backchannel, ...] = ()
    caller_words: tuple[CallerWord, ...] = ()
    caller_confidence: float | None = None
    caller_language: str | None = None
    reply_started: float | None = None
    reply_ended: float | None = None
    final_at: datetime | None = None
    replied_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CallNoted:
    """Something worth a line in the call's record: a barge-in, a key, a tool call, a watchdog's firing.

    ``detail`` holds plain values and no personal data beyond the call's own record; where it has words or
    keys, ``WORDS_IN_NOTES`` names it.
    """

    call_id: UUID
    at: datetime
    name: str
    detail: dict[str, str | int | float | bool] = field(default_factory=dict)


WORDS_IN_NOTES = {
    "backchannel": "text",
    "dtmf": "digit",
    "operator_advise": "text",
    "operator_hang_up": "text",
    "operator_say": "text",
}
"""The notes that hold what was said, keyed or to be said, by name, and which of their details does."""


@dataclass(frozen=True, slots=True)
class CallRefused:
    """A call was turned away before it was answered: ``full`` or ``draining``. ``call_id`` is no call's."""

    call_id: UUID
    at: datetime
    carrier_call_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The leg is over and all its turns were reported."""

    call_id: UUID
    at: datetime
    cause: HangupCause
    outcome: Outcome
    duration: float  # seconds


Shift: TypeAlias = tuple[float, float, float]
"""From this second of the media clock on: the least and the most by which it is heard later, in seconds."""

Shifts: TypeAlias = tuple[tuple[Shift, ...], tuple[Shift, ...]]
"""Of a recording's two channels, the caller's and the agent's, each in order and beginning at second 0."""


@dataclass(frozen=True, slots=True)
class RecordingFinished:
    """A call's recording is over, and is to be put in its store. Told before ``CallEnded``, if at all.

    ``key`` is its name in the store. ``state`` is ``kept``, ``failed`` (something of it is lost) or
    ``erased`` (the caller refused: nothing of it may stay). ``duration`` and ``pauses``, from and to, are
    seconds from the leg's beginning, as in the recording. ``source`` is ``trunkline`` or ``carrier``; seconds
    then count from when the carrier was asked, and ``carrier_recording`` is its id of it, empty where it is
    not known: ``carrier_call_id`` finds it. ``shifts`` is where in the recording what lies on the leg's
    media clock is heard; ``None``: not known.
    """

    call_id: UUID
    at: datetime
    key: str
    format: str
    channels: int
    sample_rate: int
    duration: float
    pauses: tuple[tuple[float, float], ...]
    state: str
    source: str = "trunkline"
    carrier_recording: str = ""
    carrier_call_id: str = ""
    shifts: Shifts | None = None


CallRecord: TypeAlias = CallStarted | TurnCompleted | CallNoted | RecordingFinished | CallRefused | CallEnded
