"""Lines of latency: what they say, their files, and disks that refuse."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from app.observability import lines as lines_module
from app.observability.lines import LatencyLines
from app.observability.observers import Observers
from app.observability.observing import observe
from app.observability.turns import TurnMeasured
from config.settings import ObservabilitySettings
from tests.app.calls.events import NOON
from tests.app.observability.told import ENGINES, SECRETS, answered, begun, greeted, over
from tests.fakes.recorder import FakeRecorder

TODAY = NOON.date()


def lost(reason: str) -> float:
    return REGISTRY.get_sample_value("trunkline_latency_lines_lost_total", {"reason": reason}) or 0.0


def a_call(observers: Observers, turns: int = 2) -> str:
    call = uuid4()
    observers.record(begun(call))
    observers.record(greeted(call))
    for index in range(1, turns + 1):
        observers.record(answered(call, index, replied=10.0 * index, ended=10.0 * index + 4))
    observers.record(over(call))
    return str(call)


def measured(days: int = 0) -> TurnMeasured:
    (turn,) = _turns()
    return TurnMeasured(
        turn.call_id, turn.agent, 1, turn.began, turn.ended + timedelta(days=days), False, turn.stages
    )


def _turns() -> list[TurnMeasured]:
    from app.observability.turns import Follower

    follower, call = Follower(ENGINES), uuid4()
    shown = [follower.take(event) for event in (begun(call), answered(call))]
    return [one for one in shown if isinstance(one, TurnMeasured)]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "WRITE_SECONDS", 0.01)


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


async def test_a_line_a_turn_that_was_answered(tmp_path: Path) -> None:
    folder = tmp_path / "latency"
    settings = ObservabilitySettings(latency_lines=True)
    async with observe(settings, folder, FakeRecorder(), ENGINES) as observers:
        call = a_call(observers)
    file = folder / f"{TODAY}.jsonl"
    text = file.read_text()
    first, second = [json.loads(line) for line in text.splitlines()]
    assert first == {
        "at": "2026-03-01T12:00:14.000Z",
        "call_id": call,
        "turn": 1,
        "agent": "parcel",
        "interrupted": True,
        "engines": ENGINES,
        "ms": {
            "stt": 90.0,
            "endpoint": 300.0,
            "llm": 150.0,
            "phrase": 40.0,
            "tts": 80.0,
            "send": 5.0,
            "response": 575.0,
        },
    }
    assert second["turn"] == 2
    assert not [secret for secret in SECRETS if secret in text]
    assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_file_a_day_and_old_ones_go(tmp_path: Path) -> None:
    for name in ("2026-02-20.jsonl", "2026-02-27.jsonl", "2026-02-28.jsonl", "notes.jsonl", "2026-02-01.txt"):
        (tmp_path / name).write_text("")
    lines = LatencyLines(tmp_path, days=3)
    lines.start()
    for days in (0, 1, 1):
        lines.see(measured(days))
    lines.stop(5)
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {
        "2026-02-28.jsonl",
        "2026-03-01.jsonl",
        "2026-03-02.jsonl",
        "notes.jsonl",
        "2026-02-01.txt",
    }
    assert len((tmp_path / f"{date(2026, 3, 2)}.jsonl").read_text().splitlines()) == 2


def test_an_old_file_that_cannot_be_deleted_costs_no_line(tmp_path: Path) -> None:
    (tmp_path / "2026-02-01.jsonl").mkdir()  # no file
    before = lost("disk")
    lines = LatencyLines(tmp_path, days=3)
    lines.start()
    for days in (0, 1):
        lines.see(measured(days))
    lines.stop(5)
    assert lost("disk") == before
    assert {file.name for file in tmp_path.iterdir()} >= {"2026-03-01.jsonl", "2026-03-02.jsonl"}


def test_processes_append_to_the_same_file(tmp_path: Path) -> None:
    both = [LatencyLines(tmp_path, 14), LatencyLines(tmp_path, 14)]
    for lines in both:
        lines.start()
        for _ in range(50):
            lines.see(measured())
    for lines in both:
        lines.stop(5)
    written = (tmp_path / f"{TODAY}.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in written]) == 100


@pytest.mark.usefixtures("soon")
def test_a_disk_that_refuses_loses_lines_and_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "latency"
    folder.write_text("no folder")
    before = lost("disk")
    lines = LatencyLines(folder, 14)
    lines.start()
    lines.see(measured())
    until(lambda: lost("disk") == before + 1)
    folder.unlink()
    lines.see(measured())
    until(lambda: folder.is_dir() and any(folder.iterdir()))
    lines.stop(5)
    assert lost("disk") == before + 1


def test_lines_that_nobody_writes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MOST_WAITING", 3)
    before = lost("overflow")
    lines = LatencyLines(tmp_path, 14)
    for _ in range(5):
        lines.see(measured())
    assert lost("overflow") == before + 2
