"""The carrier's playback queue."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.media import g711
from telephony.simulator.playout import Playout, sample_at

LOUD = bytes([0x80])


def sound(samples: int) -> bytes:
    return LOUD * samples


def test_audio_begins_at_once_on_an_empty_queue_and_in_order_behind_a_full_one() -> None:
    playout = Playout()
    playout.media(sound(800), 1.0)
    playout.media(sound(80), 1.01)
    playout.media(sound(160), 3.0)
    assert [(segment.start, segment.end) for segment in playout.played(9.0)] == [
        (8000, 8800),
        (8800, 8880),
        (24000, 24160),
    ]


def test_a_mark_comes_back_when_all_before_it_was_played() -> None:
    playout = Playout()
    playout.media(sound(8000), 0.0)
    playout.mark("first", 0.1)
    playout.media(sound(4000), 0.2)
    playout.mark("second", 0.2)
    assert playout.deadline == pytest.approx(1.0)
    assert playout.echoes(0.999) == []
    assert playout.echoes(1.0) == ["first"]
    assert playout.deadline == pytest.approx(1.5)
    assert playout.echoes(5.0) == ["second"]
    assert playout.deadline is None
    assert playout.echoes(9.0) == []


def test_a_mark_on_an_empty_queue_comes_back_at_once() -> None:
    playout = Playout()
    playout.mark("now", 2.0)
    assert playout.deadline == 2.0
    assert playout.echoes(2.0) == ["now"]


def test_clear_stops_at_the_sample_and_returns_every_mark() -> None:
    playout = Playout()
    playout.media(sound(8000), 0.0)
    playout.mark("a", 0.0)
    playout.media(sound(8000), 0.0)
    playout.mark("b", 0.0)
    assert playout.clear(0.25) == pytest.approx(1.75)
    assert playout.echoes(0.25) == ["a", "b"]
    assert sum(len(segment.payload) for segment in playout.played(9.0)) == 2000
    playout.media(sound(160), 0.25)
    assert [segment.start for segment in playout.played(9.0)] == [0, 2000]


def test_the_end_of_a_stream_returns_no_mark() -> None:
    playout = Playout()
    playout.media(sound(8000), 0.0)
    playout.mark("a", 0.0)
    assert playout.end(0.5) == pytest.approx(0.5)
    assert playout.echoes(9.0) == []


def test_more_than_the_ceiling_is_thrown_away() -> None:
    playout = Playout(ceiling=1.0)
    assert playout.media(sound(6000), 0.0) == 0
    assert playout.media(sound(6000), 0.0) == 4000
    assert playout.media(sound(10), 0.0) == 10
    assert playout.overflowed == 4010
    assert playout.lead(0.0) == pytest.approx(1.0)
    assert playout.media(sound(4000), 0.5) == 0


def test_mark_delay_and_lost_marks() -> None:
    playout = Playout(mark_delay=0.3, is_lost=lambda name: name == "lost")
    playout.mark("lost", 0.0)
    playout.mark("late", 0.0)
    assert playout.deadline == pytest.approx(0.3)
    assert playout.echoes(0.29) == []
    assert playout.echoes(0.3) == ["late"]


def test_a_skip_is_counted_and_a_new_reply_is_not() -> None:
    playout = Playout()
    playout.media(sound(160), 0.0)
    playout.media(sound(160), 0.05)
    assert playout.gaps == 1
    playout.media(sound(160), 3.0)
    assert playout.gaps == 1
    playout.clear(3.01)
    playout.media(sound(160), 3.05)
    assert playout.gaps == 1


def test_what_is_heard_is_told_from_silence_to_the_sample() -> None:
    playout = Playout()
    quiet = bytes([g711.SILENCE])
    playout.media(quiet * 100 + sound(50) + quiet * 100, 1.0)
    assert playout.first_heard(0.0, 1.0) is None
    assert playout.first_heard(0.0, 1.0 + 100 / 8000) is None
    assert playout.first_heard(0.0, 1.0 + 101 / 8000) == pytest.approx(1.0 + 100 / 8000)
    assert playout.first_heard(1.0 + 110 / 8000, 2.0) == pytest.approx(1.0 + 110 / 8000)
    assert playout.first_heard(1.0 + 150 / 8000, 2.0) is None
    assert playout.last_heard(1.0) is None
    assert playout.last_heard(1.0 + 120 / 8000) == pytest.approx(1.0 + 120 / 8000)
    assert playout.last_heard(2.0) == pytest.approx(1.0 + 150 / 8000)


def test_forgetting_keeps_what_is_still_to_be_played() -> None:
    playout = Playout()
    playout.media(sound(160), 0.0)
    playout.media(sound(160), 1.0)
    playout.forget(0.5)
    assert [segment.start for segment in playout.played(9.0)] == [8000]


steps = st.lists(
    st.tuples(
        st.sampled_from(["media", "media", "media", "mark", "clear"]),
        st.integers(0, 2000),  # samples of audio, or nothing
        st.floats(0, 0.5),  # seconds since the step before
    ),
    max_size=40,
)


@given(steps)
def test_never_faster_than_real_time_and_never_out_of_order(plan: list[tuple[str, int, float]]) -> None:
    playout = Playout()
    now, value = 0.0, 0
    queued: list[bytes] = []
    placed: list[str] = []
    echoed: list[str] = []
    cleared = False
    for number, (what, length, pause) in enumerate(plan):
        now += pause
        echoed += playout.echoes(now)
        if what == "media":
            value = value % 127 + 1
            payload = bytes([value]) * length
            playout.media(payload, now)
            queued.append(payload)
        elif what == "mark":
            placed.append(str(number))
            playout.mark(str(number), now)
        else:
            cleared = True
            playout.clear(now)
            assert playout.lead(now) == 0.0
    everything = b"".join(queued)
    played_now = b"".join(segment.payload for segment in playout.played(now))
    assert len(played_now) <= sample_at(now)
    segments = list(playout.played(1e6))
    for before, after in pairwise(segments):
        assert before.end <= after.start
    heard = b"".join(segment.payload for segment in segments)
    if cleared:
        remaining = iter(everything)
        assert all(byte in remaining for byte in heard)  # a subsequence, in order
    else:
        assert heard == everything
    echoed += playout.echoes(1e6)
    assert echoed == placed


@given(steps, st.floats(0, 30))
def test_the_rendered_line_is_what_was_played(plan: list[tuple[str, int, float]], at: float) -> None:
    playout = Playout()
    now = 0.0
    for what, length, pause in plan:
        now += pause
        if what == "clear":
            playout.clear(now)
        else:
            playout.media(sound(length), now)
    line = playout.samples(at)
    assert len(line) == max(0, sample_at(at))
    assert np.count_nonzero(line) == sum(len(segment.payload) for segment in playout.played(at))
    loud = np.flatnonzero(line)
    if loud.size:
        assert playout.last_heard(at) == pytest.approx((loud[-1] + 1) / 8000)
        assert playout.first_heard(0.0, at) == pytest.approx(loud[0] / 8000)
