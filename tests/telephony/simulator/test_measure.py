"""Latency from a recorded call, and its rendering."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from telephony.media import level
from telephony.media.frame import Samples, silence
from telephony.simulator.heard import (
    EventKind,
    HeardCall,
    LineCounts,
    LineEvent,
    Spoken,
    Utterance,
    Violation,
)
from telephony.simulator.measure import Burst, Percentiles, bursts, turns
from telephony.simulator.report import Stage, call_report, table, waterfall


def line(seconds: float, *loud: tuple[float, float]) -> Samples:
    samples = silence(round(seconds * 8000))
    for begin, end in loud:
        samples[round(begin * 8000) : round(end * 8000)] = 4000
    return samples


def utterance(text: str = "") -> Utterance:
    """1 s, of which the middle 0.8 s are audible."""
    return Utterance.of(line(1.0, (0.1, 0.9)), text)


def call(agent: Samples, spoken: tuple[Spoken, ...], clears: tuple[float, ...] = ()) -> HeardCall:
    return HeardCall(
        call_sid="CA1",
        from_number="+1",
        to_number="+2",
        began=datetime.now(UTC),
        caller=silence(len(agent)),
        agent=agent,
        spoken=spoken,
        events=tuple(LineEvent(at, EventKind.CLEARED) for at in clears),
        violations=(Violation(1.0, 31951, "not JSON"),),
        twiml=(),
        requests=(),
        hung_up_by="caller",
        dialled=(),
        counts=LineCounts(gaps=2),
        setup=0.1,
        duration=len(agent) / 8000,
    )


def test_an_utterance_knows_what_of_it_is_audible() -> None:
    spoken = Spoken(utterance(), 2.0)
    assert (spoken.onset, spoken.end, spoken.until) == pytest.approx((2.1, 2.9, 3.0))
    with pytest.raises(ValueError, match="loud enough"):
        Utterance.of(silence(800))


def test_bursts_are_split_by_pauses_and_by_clears() -> None:
    agent = line(5.0, (1.0, 1.5), (1.6, 2.0), (3.0, 4.0))
    assert bursts(agent) == [Burst(1.0, 2.0), Burst(3.0, 4.0)]
    assert bursts(agent, clears=[1.55]) == [Burst(1.0, 1.5), Burst(1.6, 2.0), Burst(3.0, 4.0)]
    assert bursts(silence(800), clears=[0.05]) == []


def test_a_response_is_from_the_last_audible_sample_to_the_first() -> None:
    (turn,) = turns(call(line(8.0, (0.2, 1.0), (3.5, 5.0)), (Spoken(utterance("hi"), 2.0),)))
    assert turn.response == pytest.approx(0.6)
    assert (turn.barge_in, turn.clear_after, turn.talked_over, turn.cut_off) == (False, None, None, False)


def test_a_barge_in() -> None:
    agent = line(9.0, (0.5, 2.35), (3.5, 5.0))
    (turn,) = turns(call(agent, (Spoken(utterance(), 2.0),), clears=(2.35,)))
    assert turn.barge_in
    assert turn.clear_after == pytest.approx(0.25)
    assert turn.talked_over == pytest.approx(0.25)
    assert turn.response == pytest.approx(0.6)


def test_no_answer_before_the_next_utterance_and_an_agent_that_cuts_in() -> None:
    agent = line(9.0, (4.4, 4.6), (6.0, 7.0))
    first, second = turns(call(agent, (Spoken(utterance(), 1.0), Spoken(utterance(), 4.0))))
    assert first.response is None
    assert second.cut_off
    assert second.response == pytest.approx(6.0 - 4.9)


def test_percentiles() -> None:
    assert Percentiles.of([]) is None
    assert Percentiles.of(number / 100 for number in range(101)) == Percentiles(101, 0.5, 0.95, 0.99, 1.0)


def test_the_report_of_a_call_names_turns_faults_and_who_hung_up() -> None:
    agent = line(9.0, (0.5, 2.35), (3.5, 5.0))
    text = call_report(call(agent, (Spoken(utterance("stop"), 2.0),), clears=(2.35,)))
    assert "600 ms  stop  [barge-in, cleared after 250 ms]" in text
    assert "31951: not JSON" in text
    assert "skipped 2 times" in text
    assert text.endswith("hung up by the caller")


def test_a_waterfall_puts_stages_on_one_axis() -> None:
    text = waterfall(
        "turn 1", [Stage("silence", 0.0, 0.3), Stage("model", 0.3, 0.6), Stage("clock", 0.6, 0.6)], width=10
    )
    assert text.splitlines() == [
        "turn 1",
        "  silence  █████          300 ms",
        "  model         █████     300 ms",
        "  clock              ▏      0 ms",
    ]
    assert "no stages" in waterfall("turn 2", [])


def test_a_table_is_aligned() -> None:
    assert table(("calls", "p95"), [("1", "900"), ("100", "1,000")]).splitlines() == [
        "calls    p95",
        "-----  -----",
        "1        900",
        "100    1,000",
    ]


def test_levels() -> None:
    assert level.rms_dbov(silence(0)) == level.rms_dbov(silence(10)) == level.SILENT_DBOV
    assert level.rms_dbov(np.full(10, -32768, dtype=np.int16)) == pytest.approx(0.0)
    assert level.rms_dbov(np.full(10, 328, dtype=np.int16)) == pytest.approx(-40.0, abs=0.01)
    assert level.heard_span(line(1.0, (0.25, 0.5))) == (2000, 4000)
    assert level.heard_span(silence(5)) is None
    assert level.is_quiet(b"\xff\x7f")
    assert level.is_quiet(b"")
    assert not level.is_quiet(b"\xff\x80")
    assert level.first_heard(b"\xff\xff\x80\xff") == 2
    assert level.heard_end(b"\xff\xff\x80\xff") == 3
    assert level.first_heard(b"\xff") is None
    assert level.heard_end(b"\xff") == 0
