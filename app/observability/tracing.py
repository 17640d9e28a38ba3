"""A call as a trace of OpenTelemetry: a span of the call, in it one of each turn, in that one of each stage.

The trace's id is the call's, without hyphens. Spans are made once a turn is over, with the times that its
events tell; they leave in batches, from a thread. They hold no text and no number of a caller.

Imported only where traces are wanted: its libraries are the extra ``otel``.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from uuid import UUID

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from app.observability.turns import CallBegan, CallOver, Happened, Seen, Stage, TurnMeasured

MOST_EVENTS = 100  # of a turn; the oldest are left out
_RANDOM_BITS = 56  # of a call's id (UUID 4), and of a trace's, by which those that are traced are drawn
_FAULTS = frozenset({"us", "carrier"})
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_NANOSECONDS = 1000  # of a microsecond


@dataclass(slots=True)
class _Traced:
    """A call that is being traced, with what happened since its last turn."""

    span: Span
    context: Context
    happened: deque[Happened] = field(default_factory=lambda: deque(maxlen=MOST_EVENTS))


class Traces:
    """An ``Observer`` that makes spans and gives them to an exporter."""

    name = "traces"

    def __init__(self, exporter: SpanExporter, ratio: float) -> None:
        """``ratio``: of the calls, 0 to 1, that are traced; drawn by their ids, so everywhere the same."""
        self._least = round(ratio * 2**_RANDOM_BITS)
        self._ids = _CallIds()
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "trunkline", "service.version": _version()}),
            sampler=ALWAYS_ON,
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("trunkline.calls")
        self._calls: dict[UUID, _Traced] = {}

    def see(self, seen: Seen) -> None:
        """See ``Observer.see``."""
        if isinstance(seen, CallBegan):
            if seen.call_id.int % 2**_RANDOM_BITS < self._least:
                self._calls[seen.call_id] = self._begin(seen)
            return
        call = self._calls.get(seen.call_id)
        if call is None:
            return
        match seen:
            case Happened():
                call.happened.append(seen)
            case TurnMeasured():
                self._turn(call, seen)
            case CallOver():
                del self._calls[seen.call_id]
                _finish(call, seen)

    def stop(self, seconds: float) -> None:
        """Send what waits, for at most ``seconds``. Blocks."""
        # The SDK's own end waits as long as its exporter does, which may be longer than anybody has time for.
        ending = threading.Thread(target=self._provider.shutdown, name="traces end", daemon=True)
        ending.start()
        ending.join(seconds)

    def _begin(self, call: CallBegan) -> _Traced:
        self._ids.next_trace = call.call_id.int
        attributes: dict[str, str | int] = {
            "trunkline.call_id": str(call.call_id),
            "trunkline.agent": call.agent,
            "trunkline.agent_version": call.agent_version,
            "trunkline.carrier": call.carrier,
            "trunkline.direction": call.direction,
        }
        if call.language:
            attributes["trunkline.language"] = call.language
        span = self._tracer.start_span(
            "call", Context(), SpanKind.SERVER, attributes, start_time=_nanoseconds(call.at)
        )
        return _Traced(span, set_span_in_context(span, Context()))

    def _turn(self, call: _Traced, turn: TurnMeasured) -> None:
        attributes: dict[str, str | int | float | bool] = {
            "trunkline.agent": turn.agent,
            "trunkline.turn": turn.index,
            "trunkline.interrupted": turn.interrupted,
        }
        for stage in turn.stages:
            attributes[f"trunkline.{stage.name}_seconds"] = round(stage.seconds, 5)
        span = self._tracer.start_span(
            "turn", call.context, attributes=attributes, start_time=_nanoseconds(turn.began)
        )
        for happened in call.happened:
            _tell(span, happened)
        call.happened.clear()
        context = set_span_in_context(span, Context())
        for stage in turn.stages:
            self._stage(context, stage)
        span.end(_nanoseconds(turn.ended))

    def _stage(self, context: Context, stage: Stage) -> None:
        """The response is the turn's own attribute: it is the sum of the others."""
        if stage.name == "response" or stage.ended is None:
            return
        attributes = {"trunkline.port": stage.port, "trunkline.engine": stage.engine} if stage.port else None
        began = stage.ended - timedelta(seconds=stage.seconds)
        span = self._tracer.start_span(
            stage.name, context, attributes=attributes, start_time=_nanoseconds(began)
        )
        span.end(_nanoseconds(stage.ended))


class _CallIds(RandomIdGenerator):
    """Gives the trace that begins next the id that is put here."""

    def __init__(self) -> None:
        self.next_trace = 0

    def generate_trace_id(self) -> int:
        """See ``IdGenerator``."""
        return self.next_trace or super().generate_trace_id()


def _finish(call: _Traced, over: CallOver) -> None:
    for happened in call.happened:
        _tell(call.span, happened)
    call.span.set_attribute("trunkline.hangup_cause", over.cause)
    call.span.set_attribute("trunkline.outcome", over.outcome)
    if over.outcome in _FAULTS:
        call.span.set_status(Status(StatusCode.ERROR, over.cause))
    elif over.outcome != "unknown":
        call.span.set_status(Status(StatusCode.OK))
    call.span.end(_nanoseconds(over.at))


def _tell(span: Span, happened: Happened) -> None:
    attributes = {f"trunkline.{key}": value for key, value in happened.detail.items()}
    span.add_event(happened.name, attributes, _nanoseconds(happened.at))


def _nanoseconds(at: datetime) -> int:
    """Unix time; exact, which a float is not."""
    return (at - _EPOCH) // timedelta(microseconds=1) * _NANOSECONDS


def _version() -> str:
    try:
        return version("trunkline")
    except PackageNotFoundError:
        return "unknown"
