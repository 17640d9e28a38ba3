"""Events reach the recorder first, then metrics; nothing that fails to show them is felt by a call."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from app.observability.measures import Measures
from app.observability.observers import Observers
from app.observability.observing import observe
from app.observability.turns import Seen
from app.voice.events import CallRecord, Outcome
from config.settings import ObservabilitySettings
from tests.app.observability.told import ENGINES, answered, begun, greeted, note, over, switched
from tests.fakes.recorder import FakeRecorder


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def stage_count(agent: str, stage: str, port: str = "", engine: str = "") -> float:
    return metric("trunkline_stage_seconds_count", agent=agent, stage=stage, port=port, engine=engine)


class Failing:
    name = "failing"

    def see(self, seen: Seen) -> None:
        raise RuntimeError("a bug")


class Watching:
    name = "watching"

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def see(self, seen: Seen) -> None:
        self.seen.append(seen)


def test_calls_are_counted_by_agent_and_engine() -> None:
    call, agent = uuid4(), "measured"
    observers = Observers(FakeRecorder(), [Measures()], ENGINES)
    observers.record(begun(call, agent))
    assert metric("trunkline_calls_active", agent=agent) == 1
    for event in (
        greeted(call),
        answered(call),
        note(call, "barge_in", 15.0),
        switched(call, 16.0, "tts", "espeak"),
        answered(call, 1, replied=20.0, ended=24.0),
        over(call, outcome=Outcome.US),
    ):
        observers.record(event)

    assert metric("trunkline_calls_active", agent=agent) == 0
    labels = {"agent": agent, "cause": "server_error", "outcome": "us"}
    assert metric("trunkline_calls_ended_total", **labels) == 1
    assert metric("trunkline_call_seconds_sum", agent=agent) == 30.0
    assert metric("trunkline_barge_ins_total", agent=agent) == 1
    assert metric("trunkline_replies_total", agent=agent, interrupted="no") == 1
    assert metric("trunkline_replies_total", agent=agent, interrupted="yes") == 2
    assert stage_count(agent, "response") == 2
    assert stage_count(agent, "llm", "llm", "big") == 2
    assert stage_count(agent, "tts", "tts", "piper") == stage_count(agent, "tts", "tts", "espeak") == 1
    seconds = metric("trunkline_stage_seconds_sum", agent=agent, stage="response", port="", engine="")
    assert seconds == pytest.approx(1.15)


def test_an_observer_that_fails_is_counted_and_nothing_else_suffers() -> None:
    recorder, watching, call = FakeRecorder(), Watching(), uuid4()
    observers = Observers(recorder, [Failing(), watching], ENGINES)
    before = metric("trunkline_observers_failed_total", observer="failing")
    for event in (begun(call), answered(call), over(call)):
        observers.record(event)
    assert len(recorder.events) == len(watching.seen) == 3
    assert metric("trunkline_observers_failed_total", observer="failing") == before + 3


def test_an_event_that_cannot_be_followed_is_recorded() -> None:
    recorder = FakeRecorder()
    observers = Observers(recorder, [Measures()], ENGINES)
    before = metric("trunkline_observers_failed_total", observer="turns")
    event: CallRecord = object()  # type: ignore[assignment]
    observers.record(event)
    assert recorder.events == [event]
    assert metric("trunkline_observers_failed_total", observer="turns") == before + 1


async def test_what_is_not_asked_for_is_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "latency"
    async with observe(ObservabilitySettings(), folder, FakeRecorder(), ENGINES) as observers:
        call = uuid4()
        for event in (begun(call), answered(call), over(call)):
            observers.record(event)
    assert not folder.exists()
