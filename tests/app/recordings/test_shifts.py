"""Where the seconds of the media clock lie in a recording: every sample is where the shifts say."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.calls.spool.codec import decode, encode
from app.calls.writing.rows import Entry
from app.recordings.blocks import AGENT, CALLER
from app.recordings.placing import Placing
from app.recordings.shifts import EDGE_SECONDS, MOST_SHIFTS, ShiftLog, heard
from app.voice.events import RecordingFinished, Shifts
from telephony.media.frame import FRAME_SAMPLES, SAMPLE_RATE

Arrival = tuple[int, int]
"""When a frame comes, and where it begins on the media clock, in samples."""


def recorded(arrivals: list[Arrival], end: int) -> tuple[np.ndarray, Shifts]:
    """The caller's channel, in which each frame says its number from 1 on, and the shifts."""
    placing, parts = Placing(), list[np.ndarray]()
    for now, at in arrivals:
        placing.hear(at, np.full(FRAME_SAMPLES, 1 + at // FRAME_SAMPLES, np.int16), now)
        block = placing.commit(now)
        parts += [] if block is None else block.pcm(8000)
    parts += placing.finish(end).pcm(8000)
    return np.concatenate(parts)[:, CALLER], placing.shifts


def outside(arrivals: list[Arrival], end: int) -> Iterator[int]:
    """The frames of which something is heard elsewhere than the shifts say, to their 8 samples."""
    audio, shifts = recorded(arrivals, end)
    order = np.argsort(audio, kind="stable")
    numbers = audio[order]
    for _, at in arrivals:
        first, last = np.searchsorted(numbers, np.array([1, 2], np.int16) + at // FRAME_SAMPLES)
        left = order[first:last]
        for begin, until in heard(at / SAMPLE_RATE, (at + FRAME_SAMPLES) / SAMPLE_RATE, shifts[CALLER]):
            left = left[(left < begin * SAMPLE_RATE - 8) | (left >= until * SAMPLE_RATE + 8)]
        if len(left):
            yield at


def frames(count: int, lost: dict[int, int], late: int = 0) -> list[Arrival]:
    """Frames in time; before the one with that number so many samples pass that the stamps do not count."""
    arrivals, extra = [], late
    for index in range(count):
        extra += lost.get(index, 0)
        arrivals.append(((index + 1) * FRAME_SAMPLES + extra, index * FRAME_SAMPLES))
    return arrivals


@pytest.mark.parametrize(
    ("arrivals", "last"),
    [
        (frames(2000, {}), 0.0),
        (frames(2000, {100 * n: 480 for n in range(1, 11)}), 0.6),
        (frames(2000, {500: 5 * SAMPLE_RATE}), 5.0),
        (frames(2000, {}, late=2400), 0.3),
        (frames(2000, {400: 2 * SAMPLE_RATE, 1200: 3 * SAMPLE_RATE}, late=4000), 5.5),
    ],
    ids=["good", "ten lost unseen", "muted", "begins late", "all of it"],
)
def test_what_was_said_is_found_though_the_clocks_part(arrivals: list[Arrival], last: float) -> None:
    end = arrivals[-1][0] + 100
    assert list(outside(arrivals, end)) == []
    shifts = recorded(arrivals, end)[1]
    assert shifts[CALLER][-1][1:] == pytest.approx((last, last), abs=0.06)
    assert len(shifts[CALLER]) < 12


@settings(max_examples=40)
@given(
    gaps=st.lists(
        st.tuples(
            st.integers(1, 300),
            st.sampled_from([0, 160, 480, 4000, 60_000]),
            st.integers(0, 8000),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    ),
    jitter=st.integers(0, 400),
    late=st.sampled_from([-1600, 0, 400, 3000]),
)
def test_a_frame_is_where_the_shifts_say_whatever_came_of_the_others(
    gaps: list[tuple[int, int, int, bool]], jitter: int, late: int
) -> None:
    """Frames in time or up to 50 ms late; between them time that stamps count, and time that they do not."""
    draw = np.random.default_rng(jitter)
    arrivals, at, spoken, now = list[Arrival](), 0, 0, 0
    for count, unseen, seen, counted in gaps:
        for _ in range(count):
            spoken += FRAME_SAMPLES
            now = max(now, spoken + late + int(draw.integers(0, jitter + 1)), 0)
            arrivals.append((now, at))
            at += FRAME_SAMPLES
        spoken += unseen + (seen if counted else 0)
        at += seen // FRAME_SAMPLES * FRAME_SAMPLES if counted else 0
    assert list(outside(arrivals, now + 1000)) == []


def test_shifts_are_few_however_long_the_call() -> None:
    """Four hours in which the carrier's clock runs slow by 300 ppm: 4 s."""
    log = ShiftLog()
    for second in range(33, 4 * 3600, 33):
        log.move(second * SAMPLE_RATE, 80)
    caller, agent = log.told(0)
    assert len(caller) <= MOST_SHIFTS
    assert len(agent) <= MOST_SHIFTS
    for second in range(0, 4 * 3600, 7):
        true = second + 0.01 * (second // 33)
        ((begin, end),) = list(heard(second, second, caller))[-1:] or [(true, true)]
        assert begin - 1e-6 <= true <= end + 1e-6
        assert end - begin < 0.4


@pytest.mark.parametrize("said_before", [1.0, 30.0])
def test_the_agents_times_are_those_of_when_its_reply_was_over(said_before: float) -> None:
    """Told after five muted seconds, a reply of before them is five seconds off."""
    log = ShiftLog()
    log.move(100 * SAMPLE_RATE, 5 * SAMPLE_RATE)
    caller, agent = log.told(trip=800)
    assert list(heard(20, 21, agent)) == [(20, 21.1)]
    told = 100 - said_before - 5
    ((begin, end),) = heard(told, told + 1, agent)
    assert begin <= told
    assert end >= told + 6
    assert list(heard(told, told + 1, caller)) == [(told, told + 1)]


def test_the_shifts_come_out_of_a_spool_as_they_went_in() -> None:
    shifts = recorded(frames(900, {300: SAMPLE_RATE}), 17 * SAMPLE_RATE)[1]
    for told in (shifts, None):
        event = RecordingFinished(
            UUID(int=1), datetime.now(UTC), "a", "flac", 2, 8000, 1.0, (), "kept", shifts=told
        )
        (entry,) = decode(encode(Entry(1, event))).entries
        assert entry.event == event


def test_around_a_change_both_are_believed() -> None:
    shifts = ((0.0, 0.0, 0.0), (10.0, 5.0, 5.0))
    before, after = heard(9.5, 10.5, shifts)
    assert [*before, *after] == pytest.approx([9.5, 10 + EDGE_SECONDS, 15 - EDGE_SECONDS, 15.5])
    assert len(list(heard(10 + EDGE_SECONDS, math.inf, shifts))) == 1


def test_what_was_said_before_the_recording_began_is_not_in_it() -> None:
    caller, agent = ShiftLog().told(0, (6 * SAMPLE_RATE, 7 * SAMPLE_RATE))
    assert list(heard(2, 5, caller)) == []
    assert list(heard(2, 6.5, caller)) == [(0.0, 0.5)]
    assert list(heard(10, 11, agent)) == [(3, 5)]
    assert (CALLER, AGENT) == (0, 1)
