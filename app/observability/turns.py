"""Events of calls become what observers show: measured turns, and things that happened (pure).

Nothing here holds what was said, or a number of a caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from app.voice.events import STAGES, CallEnded, CallNoted, CallRecord, CallStarted, TurnCompleted, TurnLatency

Value: TypeAlias = str | int | float | bool

PORTS = frozenset({"stt", "llm", "tts"})
"""The stages that an engine of the same port serves."""

OUTAGE = "outage"
"""The engine of an ``llm`` stage whose words came from the script of the outage, where no model was left."""

_IN_A_ROW = ("endpoint", "llm", "phrase", "tts", "send")  # up to the reply's first audio
_ROUNDING = timedelta(milliseconds=20)  # of moments that were computed from rounded durations

_SHOWN: dict[str, tuple[str, ...]] = {
    "acknowledged": (),
    "backchannel": ("kind",),
    "barge_in": ("after",),
    "closed": ("then",),
    "ducked": ("decibels",),
    "engine_failed": ("error",),
    "engine_outage": ("port",),
    "engine_switched": ("port", "from", "to"),
    "filler": (),
    "machine_detected": (),
    "max_duration": ("seconds",),
    "model_refused": (),
    "no_input": ("count",),
    "no_match": ("count",),
    "recording_paused": (),
    "recording_resumed": (),
    "too_many_tool_rounds": ("rounds",),
    "tool_called": ("tool",),
    "tool_failed": ("tool", "error"),
    "transfer_requested": (),
    "transferred": (),
    "watchdog": ("deadline", "then"),
}
"""The notes that are shown, with those of their details that say nothing of the caller."""


@dataclass(frozen=True, slots=True)
class CallBegan:
    """A call was answered."""

    call_id: UUID
    at: datetime
    agent: str
    agent_version: int
    carrier: str
    direction: str
    language: str | None


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a reply: ``seconds``, and when it ended, where that is known.

    ``port`` and ``engine`` are those of the engine that served it; empty where none did.
    """

    name: str
    seconds: float
    ended: datetime | None
    port: str = ""
    engine: str = ""


@dataclass(frozen=True, slots=True)
class TurnMeasured:
    """A turn is over. ``stages`` is empty where the caller waited for no answer: greetings, reprompts.

    ``began``: the caller's first word, as far as it is known, or the reply's; ``ended``: the reply's last.
    """

    call_id: UUID
    agent: str
    index: int
    began: datetime
    ended: datetime
    interrupted: bool
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Happened:
    """Something in a call, with details that say nothing of the caller."""

    call_id: UUID
    agent: str
    at: datetime
    name: str
    detail: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class CallOver:
    """A call ended, after so many seconds."""

    call_id: UUID
    agent: str
    at: datetime
    cause: str
    outcome: str
    seconds: float


Seen: TypeAlias = CallBegan | TurnMeasured | Happened | CallOver


@dataclass(slots=True)
class _Engines:
    """Which engine served each port since when, oldest first."""

    served: dict[str, list[tuple[datetime, str]]]

    def switched(self, port: str, at: datetime, engine: str) -> None:
        self.served.setdefault(port, []).append((at, engine))

    def at(self, port: str, moment: datetime | None) -> str:
        """The engine at a moment; ``None``: the latest."""
        found = ""
        for since, engine in self.served.get(port, ()):
            if found and moment is not None and since > moment + _ROUNDING:
                break
            found = engine
        return found

    def turn_over(self, at: datetime) -> None:
        """Forget what was before; an outage lasts no longer than its reply."""
        for port, served in self.served.items():
            lasting = [one for one in served if one[1] != OUTAGE] or served
            self.served[port] = [(at, lasting[-1][1])]


@dataclass(slots=True)
class _Call:
    agent: str
    began: datetime
    engines: _Engines


@dataclass(slots=True)
class Follower:
    """Follows the calls of a process. ``engines``: by port, the one that a call begins with."""

    engines: Mapping[str, str]
    _calls: dict[UUID, _Call] = field(default_factory=dict)

    def take(self, event: CallRecord) -> Seen | None:
        """What an event of a call shows; ``None``: nothing."""
        if isinstance(event, CallStarted):
            return self._began(event)
        call = self._calls.get(event.call_id)
        if call is None:
            return None
        match event:
            case TurnCompleted():
                return _measured(event, call)
            case CallNoted():
                return _happened(event, call)
            case CallEnded():
                del self._calls[event.call_id]
                return CallOver(
                    event.call_id, call.agent, event.at, str(event.cause), str(event.outcome), event.duration
                )
            case _:
                return None

    def _began(self, event: CallStarted) -> CallBegan:
        engines = _Engines({port: [(event.at, engine)] for port, engine in self.engines.items()})
        self._calls[event.call_id] = _Call(event.agent, event.at, engines)
        return CallBegan(
            event.call_id,
            event.at,
            event.agent,
            event.agent_version,
            event.carrier,
            event.direction,
            event.language,
        )


def _happened(event: CallNoted, call: _Call) -> Happened | None:
    shown = _SHOWN.get(event.name)
    if shown is None:
        return None
    detail = {key: event.detail[key] for key in shown if key in event.detail}
    if event.name == "engine_switched":
        call.engines.switched(str(detail.get("port", "")), event.at, str(detail.get("to", "")))
    elif event.name == "engine_outage":
        call.engines.switched(str(detail.get("port", "")), event.at, OUTAGE)
    return Happened(event.call_id, call.agent, event.at, event.name, detail)


def _measured(event: TurnCompleted, call: _Call) -> TurnMeasured:
    latency = event.latency
    stages = _stages(event, call.engines) if latency.response is not None else ()
    call.engines.turn_over(event.at)
    return TurnMeasured(
        event.call_id,
        call.agent,
        event.index,
        max(call.began, min(_turn_began(event), event.at)),
        event.at,
        event.interrupted,
        stages,
    )


def _stages(event: TurnCompleted, engines: _Engines) -> tuple[Stage, ...]:
    ends = _ends(event.latency, event.replied_at)
    ends["stt"] = event.final_at
    stages = []
    for name in STAGES:
        milliseconds = getattr(event.latency, name)
        if milliseconds is None:
            continue
        ended = ends.get(name)
        port = name if name in PORTS else ""
        engine = engines.at(port, ended) if port else ""
        stages.append(Stage(name, milliseconds / 1000, ended, port, engine))
    return tuple(stages)


def _ends(latency: TurnLatency, replied_at: datetime | None) -> dict[str, datetime | None]:
    """When each stage up to the reply's first audio ended, counted back from there."""
    if replied_at is None:
        return {}
    ends: dict[str, datetime | None] = {"response": replied_at}
    end = replied_at
    for name in reversed(_IN_A_ROW):
        ends[name] = end
        end -= timedelta(milliseconds=getattr(latency, name) or 0.0)
    return ends


def _turn_began(event: TurnCompleted) -> datetime:
    """When the caller began, else the reply; by the media clock, whose place is told by the reply."""
    if event.replied_at is None:
        if event.caller_started is None or event.caller_ended is None:
            return event.at
        return event.at - timedelta(seconds=max(0.0, event.caller_ended - event.caller_started))
    waited = timedelta(milliseconds=event.latency.response or 0.0)
    if event.caller_started is None or event.reply_started is None:
        return event.replied_at - waited
    spoken = timedelta(seconds=event.reply_started - event.caller_started)
    return event.replied_at - max(waited, spoken)
