"""Both voices on one line: jitter, loss, reordering, clears, pauses, against models that keep everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.recordings.blocks import AGENT, CALLER
from app.recordings.placing import HOLD, LAG, MOST_QUEUED, STEP, Placing
from telephony.media.frame import FRAME_SAMPLES, SAMPLE_RATE, Samples
from telephony.media.g711 import decode, encode
from telephony.simulator.playout import Playout

SECOND = SAMPLE_RATE
TWENTY_MS = SAMPLE_RATE // 50


class Line:
    """A placing, and all that it gave out."""

    def __init__(self) -> None:
        self.placing = Placing()
        self.parts: list[np.ndarray] = []

    def commit(self, now: int) -> None:
        block = self.placing.commit(now)
        if block is not None:
            self.parts += block.pcm(3000)

    def finish(self, now: int) -> np.ndarray:
        self.parts += self.placing.finish(now).pcm(3000)
        return np.concatenate(self.parts) if self.parts else np.zeros((0, 2), np.int16)


def tone(samples: int, level: int = 1000) -> Samples:
    return np.full(samples, level, dtype=np.int16)


def number(at: int) -> Samples:
    """A frame that says where it lies."""
    return np.full(FRAME_SAMPLES, 1 + at // FRAME_SAMPLES, dtype=np.int16)


frames = st.lists(
    st.tuples(st.integers(0, 480), st.floats(0, 1), st.integers(0, 2)), min_size=60, max_size=400
)


@given(frames=frames, share_lost=st.sampled_from([0.0, 0.05, 0.3]))
def test_a_frame_lies_where_it_was_spoken_whatever_came_of_the_others(
    frames: list[tuple[int, float, int]], share_lost: float
) -> None:
    """Up to 60 ms late, lost, swapped with the next: each that arrives lies within 20 ms of its place."""
    arrivals = []
    for index, (jitter, draw, swap) in enumerate(frames):
        if draw >= share_lost or index < 2:
            spoken = (index + 1) * FRAME_SAMPLES
            arrivals.append((spoken + (jitter if index else 0) + (swap == 2) * 200, index * FRAME_SAMPLES))
    line, now = Line(), 0
    for arrival, at in sorted(arrivals):
        now = max(now, arrival)
        line.placing.hear(at, number(at), now)
        line.commit(now)
    end = max(now, len(frames) * FRAME_SAMPLES) + 77
    recorded = line.finish(end)
    assert len(recorded) == end
    heard = recorded[:, CALLER]
    for _, at in arrivals:
        (where,) = np.nonzero(heard == 1 + at // FRAME_SAMPLES)
        assert len(where)
        assert abs(where[0] - at) <= TWENTY_MS
    assert not recorded[:, AGENT].any()
    assert line.placing.missed == 0


actions = st.lists(
    st.tuples(
        st.sampled_from(["play", "play", "play", "mark", "clear", "pause", "resume", "wait"]),
        st.integers(1, 2400),
        st.integers(0, 4000),
    ),
    max_size=120,
)


@given(actions=actions, trip=st.sampled_from([0, 0, 400, 1600]))
def test_the_agent_lies_where_a_carrier_plays_it(actions: list[tuple[str, int, int]], trip: int) -> None:
    """Against the simulator's carrier, whose queue keeps everything: equal sample for sample.

    The round trip is known from the first mark on, so the model begins with one.
    """
    line, carrier, pauses = Line(), Playout(), list[list[int]]()
    line.placing.mark("first", 0)
    line.placing.mark_played("first", trip)
    now, marks = trip, 0
    for what, length, gap in actions:
        match what:
            case "play":
                audio = decode(encode(tone(length, 100 + 7 * (now % 97))))
                line.placing.play(audio, now)
                carrier.media(encode(audio), (now + trip) / SAMPLE_RATE)
            case "mark":
                marks += 1
                line.placing.mark(str(marks), now)
            case "clear":
                line.placing.clear(now)
                carrier.clear((now + trip) / SAMPLE_RATE)
            case "pause":
                line.placing.pause(now)
                if not pauses or pauses[-1][1] >= 0:
                    pauses.append([now, -1])
            case "resume":
                line.placing.resume(now)
                if pauses and pauses[-1][1] < 0:
                    pauses[-1][1] = now
        now += gap
        line.commit(now)
    recorded = line.finish(now)
    expected = carrier.samples(now / SAMPLE_RATE)
    for begin, end in pauses:
        expected[begin : now if end < 0 else end] = 0
    assert len(recorded) == now
    assert np.array_equal(recorded[:, AGENT], expected)
    spans = [(begin, now if end < 0 else end) for begin, end in pauses]
    assert list(line.placing.pauses) == [span for span in spans if span[0] < span[1]]


def test_what_a_clear_takes_back_is_not_in_the_recording() -> None:
    line = Line()
    line.placing.play(tone(SECOND), 0)
    line.placing.clear(3000)
    recorded = line.finish(SECOND)
    assert (recorded[:3000, AGENT] == 1000).all()
    assert not recorded[3000:, AGENT].any()


def test_the_first_mark_moves_what_was_sent_by_the_round_trip() -> None:
    line = Line()
    line.placing.play(tone(4000), 800)
    line.placing.mark("1.1", 800)
    line.placing.mark_played("1.1", 800 + 4000 + 1600)
    recorded = line.finish(2 * SECOND)
    assert np.flatnonzero(recorded[:, AGENT])[[0, -1]].tolist() == [2400, 6399]
    assert line.placing.round_trip == 1600


def test_a_first_mark_that_was_late_by_chance_is_corrected_by_the_second() -> None:
    line = Line()
    line.placing.play(tone(6400), 0)
    line.placing.mark("1.1", 0)
    line.placing.play(tone(800), 0)
    line.placing.mark("1.2", 0)
    line.placing.mark_played("1.1", 6400 + 500)
    line.placing.mark_played("1.2", 7200 + 10)
    recorded = line.finish(2 * SECOND)
    assert np.flatnonzero(recorded[:, AGENT])[[0, -1]].tolist() == [10, 7209]


def test_a_carrier_that_stalls_plays_the_rest_later() -> None:
    """No mark of the second half comes in time, although the caller's audio does."""
    line = Line()
    line.placing.mark("0", 0)
    line.placing.mark_played("0", 0)
    for index in range(200):
        now = (index + 1) * FRAME_SAMPLES
        line.placing.hear(index * FRAME_SAMPLES, number(0), now)
        if index == 0:
            for mark in ("1", "2", "3"):
                line.placing.play(tone(3200, int(mark)), now)
                line.placing.mark(mark, now)
        if now == 160 + 3200:
            line.placing.mark_played("1", now)
        if now == 160 + 6400 + 2400:  # 0.3 s late
            line.placing.mark_played("2", now)
        line.commit(now)
    heard = line.finish(now)[:, AGENT]
    assert np.flatnonzero(heard == 3)[0] == 160 + 6400 + 2400


def test_muted_time_without_timestamps_is_silence() -> None:
    """The carrier sends nothing for four seconds, and its media clock does not count them."""
    line, at, now = Line(), 0, 0
    for index in range(600):
        now += FRAME_SAMPLES if index != 200 else 4 * SECOND
        line.placing.hear(at, number(0) * (2 if index >= 400 else 1), now)
        at += FRAME_SAMPLES
        line.commit(now)
    heard = line.finish(now)[:, CALLER]
    assert len(heard) == now
    assert abs(np.flatnonzero(heard == 2)[0] - (now - 200 * FRAME_SAMPLES)) <= TWENTY_MS


def test_a_burst_after_a_stall_lies_where_it_was_spoken() -> None:
    """Three seconds of frames come at once: the network held them back."""
    line = Line()
    for index in range(500):
        spoken = (index + 1) * FRAME_SAMPLES
        now = spoken if not 100 <= index < 250 else 250 * FRAME_SAMPLES
        line.placing.hear(index * FRAME_SAMPLES, number(index * FRAME_SAMPLES), now)
        line.commit(now)
    heard = line.finish(500 * FRAME_SAMPLES)[:, CALLER]
    assert np.array_equal(heard, np.repeat(np.arange(1, 501), FRAME_SAMPLES))


@pytest.mark.parametrize("parts_per_million", [-300, 300])
def test_a_carriers_clock_may_drift(parts_per_million: int) -> None:
    line, now = Line(), 0
    for index in range(20_000):  # 400 s; the clocks part by 120 ms
        now = round((index + 1) * FRAME_SAMPLES * (1 + parts_per_million / 1e6))
        line.placing.hear(index * FRAME_SAMPLES, tone(FRAME_SAMPLES, 2 if index == 19_000 else 1), now)
        line.commit(now)
    recorded = line.finish(now)[:, CALLER]
    assert len(recorded) == now
    spoken = round(19_000 * FRAME_SAMPLES * (1 + parts_per_million / 1e6))
    assert abs(np.flatnonzero(recorded == 2)[0] - spoken) <= TWENTY_MS


def test_a_timestamp_far_on_costs_one_frame() -> None:
    line = Line()
    for index in range(300):
        now = (index + 1) * FRAME_SAMPLES
        at = index * FRAME_SAMPLES + (50 * SECOND if index >= 150 else 0)
        line.placing.hear(at, number(index * FRAME_SAMPLES), now)
        line.commit(now)
    heard = line.finish(300 * FRAME_SAMPLES)[:, CALLER]
    for index in (0, 100, 149, 152, 299):
        assert abs(np.flatnonzero(heard == index + 1)[0] - index * FRAME_SAMPLES) <= TWENTY_MS


def test_audio_later_than_what_is_held_back_is_counted_and_left_out() -> None:
    line = Line()
    for index in range(60):
        line.placing.hear(index * FRAME_SAMPLES, number(0), (index + 1) * FRAME_SAMPLES)
    late = 60 * FRAME_SAMPLES + HOLD + 2 * STEP
    line.commit(late)
    line.placing.hear(60 * FRAME_SAMPLES, number(0), late)
    assert line.placing.missed == FRAME_SAMPLES
    assert len(line.finish(late)) == late


def test_what_waits_is_bounded() -> None:
    placing = Placing()
    for _ in range(200):
        placing.play(tone(SECOND), 0)
    assert placing.overflowed == 200 * SECOND - MOST_QUEUED - SECOND


def test_a_pause_is_silent_on_both_channels_from_its_first_sample() -> None:
    line = Line()
    for index in range(400):
        now = (index + 1) * FRAME_SAMPLES
        line.placing.hear(index * FRAME_SAMPLES, number(0), now)
        if index % 50 == 0:
            line.placing.play(tone(SECOND), now)
        if index == 100:
            line.placing.pause(now)
        if index == 250:
            line.placing.resume(now)
        line.commit(now)
    recorded = line.finish(now)
    begin, end = 101 * FRAME_SAMPLES, 251 * FRAME_SAMPLES
    assert line.placing.pauses == ((begin, end),)
    assert not recorded[begin:end].any()
    assert recorded[begin - 1].all()
    assert recorded[end].all()


def test_nothing_is_given_out_before_its_time() -> None:
    placing = Placing()
    assert placing.commit(LAG + STEP - 1) is None
    placing.hear(0, number(0), LAG + STEP)
    assert placing.commit(LAG + HOLD + STEP) is not None


@pytest.mark.parametrize("behind", [0, 80, 160, 400, 1600])
def test_a_leg_that_was_taken_up_late_knows_the_media_clock_all_the_same(behind: int) -> None:
    """Its stream began so many samples before; the caller stays in place, and the agent beside it."""
    line = Line()
    for index in range(200):
        spoken = (index + 1) * FRAME_SAMPLES
        now = max(0, spoken - behind)
        line.placing.hear(index * FRAME_SAMPLES, number(index * FRAME_SAMPLES), now)
        if index == 100:
            line.placing.play(tone(FRAME_SAMPLES, 7), now)
        line.commit(now)
    recorded = line.finish(now)
    assert len(recorded) == now
    assert np.flatnonzero(recorded[:, CALLER] == 150)[0] == 149 * FRAME_SAMPLES
    assert abs(np.flatnonzero(recorded[:, AGENT])[0] - 101 * FRAME_SAMPLES) <= TWENTY_MS // 2
