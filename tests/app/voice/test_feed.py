from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.voice.feed import FADE, Feed
from telephony.media.frame import FRAME_SAMPLES, Samples

STEP = 655  # 2 % of full scale


def hum(samples: int, phase: float = 0.0) -> Samples:
    """100 Hz at a quarter of full scale: its own steps are 1.9 %."""
    angle = 2 * np.pi * 100 * np.arange(samples) / 8000 + phase
    return np.asarray(np.rint(8000 * np.sin(angle)), dtype=np.int16)


def largest_step(samples: Samples) -> int:
    return int(np.abs(np.diff(samples.astype(np.int32))).max())


def drained(feed: Feed) -> Samples:
    return np.concatenate((feed.take(10**6), feed.flush()))


def test_audio_comes_out_as_it_went_in_but_for_the_fade_at_its_end() -> None:
    feed, audio = Feed(), hum(3200)
    for start in range(0, 3200, 700):
        feed.add(audio[start : start + 700])
    out = drained(feed)
    assert len(out) == 3200
    assert np.array_equal(out[:-FADE], audio[:-FADE])
    assert abs(int(out[-1])) < 50
    assert feed.made == 3200


def test_phrases_are_crossfaded_without_a_step() -> None:
    feed = Feed()
    feed.add(hum(1600))
    feed.end_phrase()
    feed.add(hum(1600, phase=2.5))
    out = drained(feed)
    assert len(out) == 3200 - FADE + (-(3200 - FADE) % FRAME_SAMPLES)
    assert largest_step(out) <= STEP


def test_a_pause_fades_out_and_the_next_sample_fades_in_without_a_gap_in_the_content() -> None:
    for at in range(160, 2400, 160):
        feed, audio = Feed(), hum(4000)
        feed.add(audio)
        before = feed.take(at)
        tail = feed.pause()
        rest = drained(feed)
        heard = np.concatenate((before, tail, np.zeros(800, dtype=np.int16), rest))
        assert largest_step(heard) <= STEP
        assert len(before) + len(tail) + len(rest) == 4000
        assert np.array_equal(rest[FADE:-FADE], audio[at + 2 * FADE : -FADE])


def test_ducking_is_a_ramp_and_returns() -> None:
    feed = Feed()
    feed.add(hum(16000))
    loud = feed.take(1600)
    feed.duck(0.25)
    ducked = feed.take(3200)
    feed.duck(1.0)
    again = feed.take(3200)
    assert largest_step(np.concatenate((loud, ducked, again))) <= STEP
    assert np.abs(ducked[800:]).max() <= 8000 * 0.26
    assert np.abs(again[800:]).max() >= 7900


def test_a_phrase_shorter_than_a_fade_is_not_lost() -> None:
    feed = Feed()
    feed.add(hum(800))
    feed.end_phrase()
    feed.add(hum(50))
    feed.end_phrase()
    feed.add(hum(800))
    feed.end_phrase()
    assert len(drained(feed)) >= 1600 - FADE
    assert feed.take(160).size == 0


@given(st.lists(st.tuples(st.sampled_from("aptfed"), st.integers(0, 900)), max_size=40))
def test_whatever_happens_frames_are_whole_and_what_was_made_comes_out(steps: list[tuple[str, int]]) -> None:
    feed, out = Feed(), 0
    for what, size in steps:
        match what:
            case "a":
                feed.add(hum(size))
            case "p":
                out += len(feed.pause())
            case "t":
                taken = feed.take(size)
                assert len(taken) <= size
                out += len(taken)
            case "f":
                out += len(feed.flush())
            case "e":
                feed.end_phrase()
            case "d":
                feed.duck((size % 10) / 10)
        assert out % FRAME_SAMPLES == 0 or what == "p"
    feed.end_phrase()
    out += len(feed.take(10**6)) + len(feed.flush())
    assert out == feed.made
