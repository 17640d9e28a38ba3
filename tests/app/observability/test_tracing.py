"""Calls as traces: their spans, and the bytes that a collector gets."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pydantic import SecretStr

from app.observability.observers import Observers
from app.observability.observing import TracingUnavailable, observe
from app.observability.tracing import MOST_EVENTS, Traces
from app.voice.events import CallRecord, Outcome
from config.settings import ObservabilitySettings
from tests.app.observability.told import (
    ENGINES,
    SECRETS,
    answered,
    at,
    begun,
    greeted,
    note,
    over,
    switched,
)
from tests.fakes.recorder import FakeRecorder

CALL = uuid4()


def traced(*events: CallRecord, ratio: float = 1.0) -> Sequence[ReadableSpan]:
    exporter = InMemorySpanExporter()
    traces = Traces(exporter, ratio)
    observers = Observers(FakeRecorder(), [traces], ENGINES)
    for event in events:
        observers.record(event)
    traces.stop(5)
    return exporter.get_finished_spans()


def named(spans: Sequence[ReadableSpan], name: str) -> ReadableSpan:
    (span,) = [span for span in spans if span.name == name]
    return span


def nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1000


def times(span: ReadableSpan) -> tuple[int | None, int | None]:
    return span.start_time, span.end_time


def test_a_call_has_turns_and_a_turn_its_stages() -> None:
    spans = traced(begun(CALL), answered(CALL), over(CALL))
    call, turn = named(spans, "call"), named(spans, "turn")
    assert call.parent is None
    assert call.context.trace_id == CALL.int
    assert times(call) == (nanoseconds(at(0)), nanoseconds(at(30)))
    assert dict(call.attributes or {}) == {
        "trunkline.call_id": str(CALL),
        "trunkline.agent": "parcel",
        "trunkline.agent_version": 1,
        "trunkline.carrier": "twilio",
        "trunkline.direction": "inbound",
        "trunkline.language": "en-US",
        "trunkline.hangup_cause": "caller",
        "trunkline.outcome": "caller",
    }
    assert turn.parent is not None
    assert turn.parent.span_id == call.context.span_id
    assert times(turn) == (nanoseconds(at(7.425)), nanoseconds(at(14)))
    assert turn.attributes is not None
    assert turn.attributes["trunkline.response_seconds"] == 0.575
    stages = [span for span in spans if span.parent and span.parent.span_id == turn.context.span_id]
    assert {span.name for span in stages} == {"stt", "endpoint", "llm", "phrase", "tts", "send"}
    assert times(named(spans, "llm")) == (nanoseconds(at(9.725)), nanoseconds(at(9.875)))
    assert times(named(spans, "stt")) == (nanoseconds(at(9.51)), nanoseconds(at(9.6)))
    assert {span.context.trace_id for span in spans} == {CALL.int}


def test_stages_name_their_engine() -> None:
    spans = traced(begun(CALL), switched(CALL, 9.8, "llm", "small"), answered(CALL), over(CALL))
    assert dict(named(spans, "llm").attributes or {}) == {
        "trunkline.port": "llm",
        "trunkline.engine": "small",
    }
    assert not named(spans, "phrase").attributes


def test_what_happened_stands_in_its_turn_and_the_rest_in_the_call() -> None:
    spans = traced(
        begun(CALL),
        note(CALL, "barge_in", 13.9, after=0.4),
        answered(CALL),
        note(CALL, "watchdog", 20.0, deadline="thinking", then="LISTENING"),
        over(CALL),
    )
    (barge_in,) = named(spans, "turn").events
    assert (barge_in.name, barge_in.timestamp) == ("barge_in", nanoseconds(at(13.9)))
    assert dict(barge_in.attributes or {}) == {"trunkline.after": 0.4}
    (watchdog,) = named(spans, "call").events
    assert watchdog.name == "watchdog"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.SUCCESS, StatusCode.OK),
        (Outcome.CALLER, StatusCode.OK),
        (Outcome.CARRIER, StatusCode.ERROR),
        (Outcome.US, StatusCode.ERROR),
        (Outcome.UNKNOWN, StatusCode.UNSET),
    ],
)
def test_a_fault_is_an_error(outcome: Outcome, status: StatusCode) -> None:
    assert named(traced(begun(CALL), over(CALL, outcome=outcome)), "call").status.status_code is status


def test_no_span_holds_what_was_said_or_a_number() -> None:
    spans = traced(
        begun(CALL),
        greeted(CALL),
        note(CALL, "backchannel", 4.0, kind="backchannel", text="mm-hmm", at=3.0),
        note(CALL, "dtmf", 5.0, digit="4111"),
        answered(CALL),
        over(CALL),
    )
    told = "".join(span.to_json() for span in spans)
    assert not [secret for secret in SECRETS if secret in told]


def test_a_share_of_the_calls_is_traced_and_the_same_everywhere() -> None:
    calls = [uuid4() for _ in range(400)]
    events = [event for call in calls for event in (begun(call), over(call))]
    first, second = traced(*events, ratio=0.25), traced(*events, ratio=0.25)
    assert 60 <= len(first) <= 140
    assert {span.context.trace_id for span in first} == {span.context.trace_id for span in second}
    assert traced(*events, ratio=0.0) == ()


def test_events_of_a_turn_are_bounded() -> None:
    notes = [note(CALL, "barge_in", 5.0, after=float(number)) for number in range(MOST_EVENTS + 50)]
    events = named(traced(begun(CALL), *notes, answered(CALL), over(CALL)), "turn").events
    assert len(events) == MOST_EVENTS


# Over the wire


class Collector(ThreadingHTTPServer):
    """Takes traces as OpenTelemetry's collector does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"


class _Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield collector
    finally:
        collector.shutdown()
        thread.join()
        collector.server_close()


async def test_a_collector_gets_the_spans(tmp_path: Path) -> None:
    with collecting() as collector:
        settings = ObservabilitySettings(
            otlp_url=collector.url, otlp_headers={"authorization": SecretStr("Bearer secret")}
        )
        async with observe(settings, tmp_path, FakeRecorder(), ENGINES) as observers:
            for event in (begun(CALL), greeted(CALL), answered(CALL, 1), over(CALL)):
                observers.record(event)
    assert collector.headers[0]["authorization"] == "Bearer secret"
    resources = [resource for request in collector.requests for resource in request.resource_spans]
    names = {one.key: one.value.string_value for one in resources[0].resource.attributes}
    assert names["service.name"] == "trunkline"
    spans = [span for resource in resources for scope in resource.scope_spans for span in scope.spans]
    assert sorted(span.name for span in spans) == sorted(
        ["call", "turn", "turn", "stt", "endpoint", "llm", "phrase", "tts", "send"]
    )
    assert {UUID(bytes=span.trace_id) for span in spans} == {CALL}
    assert not [secret for secret in SECRETS if secret.encode() in collector.requests[0].SerializeToString()]


async def test_a_collector_that_is_away_costs_no_call_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.observability.observing.STOP_SECONDS", 0.2)
    settings = ObservabilitySettings(otlp_url="http://127.0.0.1:9/v1/traces")
    recorder = FakeRecorder()
    async with observe(settings, tmp_path, recorder, ENGINES) as observers:
        for event in (begun(CALL), answered(CALL), over(CALL)):
            observers.record(event)
    assert len(recorder.events) == 3


async def test_missing_libraries_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in sys.modules if name.startswith(("opentelemetry", "app.observability.tracing"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    settings = ObservabilitySettings(otlp_url="http://127.0.0.1:9/v1/traces")
    with pytest.raises(TracingUnavailable, match=r'OTLP_URL.*opentelemetry.*pip install "trunkline\[otel\]"'):
        async with observe(settings, tmp_path, FakeRecorder(), ENGINES):
            pass


def test_nothing_of_it_is_imported_unless_it_is_asked_for() -> None:
    """Other libraries may import OpenTelemetry where it is installed (redis its SDK); they export nothing."""
    code = (
        "import sys, app.observability.observing, app.services; "
        "ours = ('opentelemetry.exporter', 'app.observability.tracing'); "
        "sys.exit(' '.join(name for name in sys.modules if name.startswith(ours)) or 0)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)
