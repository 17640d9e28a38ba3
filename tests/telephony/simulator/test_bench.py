"""The load test's own arithmetic, and one small round of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import load, soak, talk
from bench.talk import Habits
from tests.telephony.simulator.conftest import ACCOUNT, TOKEN
from tests.telephony.simulator.media_server import MediaServer, conversation


async def test_a_round(server: MediaServer, tmp_path: Path) -> None:
    server.agent = lambda stream: conversation(stream, 2.5)
    habits = Habits(barge_every=1, barge_after=0.3)
    target = load.Target(server.webhook, ACCOUNT, TOKEN)
    report = await load.run_load(target, [3], 5.0, habits)
    (measured,) = report.rounds
    assert measured.response is not None
    assert measured.response.count >= 3
    assert measured.response.p50 == pytest.approx(0.31, abs=0.1)
    assert measured.barge_in is not None
    assert measured.barge_in.p50 == pytest.approx(0.21, abs=0.1)
    assert (measured.failed, measured.violations, measured.unanswered, measured.uncleared) == (0, 0, 0, 0)
    assert measured.server_cpu is None
    first, _rule, row = load.render(report).splitlines()
    assert first.startswith("calls")
    assert row.startswith("3 ")
    written = json.loads(load.write_report(report, tmp_path).read_text())
    assert written["rounds"][0]["calls"] == 3
    assert "token" not in str(written).lower()


async def test_calls_that_fail_are_counted_and_named(server: MediaServer) -> None:
    server.status = 403
    target = load.Target(server.webhook, ACCOUNT, TOKEN)
    measured = await load.run_round(target, 2, 0.5, Habits(together=True))
    assert measured.failed == 2
    assert "403" in measured.first_failure
    assert measured.response is None
    assert "-" in load.render(load.Report("2026-01-01T00:00:00+00:00", "m", "3", Habits(), [measured]))


def test_the_callers_sentences_are_there() -> None:
    assert [round((one.end - one.onset) / 8000, 1) for one in talk.utterances()] == [2.2, 1.7, 2.3]


def test_growth_ignores_the_first_sample() -> None:
    def sample(megabytes: float) -> soak.Sample:
        return soak.Sample(0.0, megabytes, 1, 1, 0.0, 0, 0, None)

    assert soak.growth([sample(value) for value in (50, 100, 100, 101, 101, 103, 103)]) == 3.0
    assert soak.growth([sample(7)]) == 0.0
