from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from app.engines.ports import VoiceActivity, VoiceActivityDetector
from app.engines.vad.silero import SileroVad
from bench.talk import utterances
from telephony.media.frame import SAMPLE_RATE, Samples
from tests.contracts.probe import TRIES, leaves_nothing, no_collections
from tests.fakes.detector import FakeDetector

ENGINES: dict[str, Callable[[], VoiceActivityDetector]] = {"silero": SileroVad, "fake": FakeDetector}
WINDOW = 256
LEAD = SAMPLE_RATE  # a second of line before and after the speech


@pytest.fixture(params=ENGINES)
def make(request: pytest.FixtureRequest) -> Callable[[], VoiceActivityDetector]:
    return ENGINES[request.param]


@pytest.fixture
async def engine(make: Callable[[], VoiceActivityDetector]) -> AsyncIterator[VoiceActivityDetector]:
    engine = make()
    await engine.start()
    yield engine
    await engine.close()


def line(noise: float | None = None) -> tuple[Samples, int, int]:
    """A second of line, a sentence, a second of line; where the speech begins and ends."""
    said = utterances()[0]
    samples = np.concatenate([np.zeros(LEAD), said.samples, np.zeros(LEAD)])
    if noise is not None:
        samples = samples + np.random.default_rng(3).normal(0, 32768 * 10 ** (noise / 20), len(samples))
    return samples.astype(np.int16), LEAD + said.onset, LEAD + said.end


async def detect(engine: VoiceActivityDetector, samples: Samples, size: int = 160) -> list[VoiceActivity]:
    found: list[VoiceActivity] = []
    stream = engine.open(found.append)
    for start in range(0, len(samples), size):
        stream.push(samples[start : start + size])
    async with asyncio.timeout(30):
        while len(found) < len(samples) // WINDOW:
            await asyncio.sleep(0.002)
    stream.close()
    return found


async def test_every_window_is_reported_once_and_in_order(engine: VoiceActivityDetector) -> None:
    samples, _, _ = line()
    found = await detect(engine, samples)
    assert [window.end for window in found] == [WINDOW * n for n in range(1, len(samples) // WINDOW + 1)]
    assert all(0.0 <= window.probability <= 1.0 for window in found)


@pytest.mark.parametrize("noise", [None, -60.0, -50.0])
async def test_speech_is_found_where_it_is(engine: VoiceActivityDetector, noise: float | None) -> None:
    samples, onset, end = line(noise)
    found = await detect(engine, samples)
    speech = [window.end for window in found if window.probability >= 0.5]
    assert abs(speech[0] - WINDOW - onset) <= 0.1 * SAMPLE_RATE
    assert abs(speech[-1] - end) <= 0.1 * SAMPLE_RATE
    inside = [window for window in found if onset + WINDOW < window.end < end]
    assert sum(window.probability >= 0.5 for window in inside) > 0.8 * len(inside)


@pytest.mark.parametrize("size", [1, 7, 159, 256, 4000])
async def test_the_size_of_the_pieces_does_not_matter(engine: VoiceActivityDetector, size: int) -> None:
    samples, _, _ = line(-55.0)
    samples = samples[LEAD - 2000 : LEAD + 6000]
    expected = await detect(engine, samples)
    found = await detect(engine, samples, size)
    assert [window.end for window in found] == [window.end for window in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=1e-3)


async def test_fifty_legs_do_not_mix(engine: VoiceActivityDetector) -> None:
    samples, _, _ = line(-55.0)
    quiet = np.zeros_like(samples)
    alone = await detect(engine, samples)
    together = await asyncio.gather(*(detect(engine, quiet if n % 2 else samples) for n in range(50)))
    for number, found in enumerate(together):
        if number % 2:
            assert all(window.probability < 0.1 for window in found)
        else:
            for one, other in zip(found, alone, strict=True):
                assert one.probability == pytest.approx(other.probability, abs=1e-2)


async def test_a_closed_stream_reports_nothing_more(engine: VoiceActivityDetector) -> None:
    samples, _, _ = line()
    found: list[VoiceActivity] = []
    stream = engine.open(found.append)
    stream.push(samples[:WINDOW])
    stream.close()
    so_far = len(found)
    await asyncio.sleep(0.05)
    assert len(found) == so_far


async def test_no_step_on_the_event_loop_takes_two_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """150 callers at once. CPU time of this thread, so that other programs on the machine do not count."""
    engine = SileroVad()
    await engine.start()
    samples, _, _ = line(-55.0)
    longest = 0.0

    def timed(step: Callable[..., None]) -> Callable[..., None]:
        def run(*arguments: Any) -> None:
            nonlocal longest
            before = time.thread_time()
            step(*arguments)
            longest = max(longest, time.thread_time() - before)

        return run

    monkeypatch.setattr(engine, "_infer", timed(engine._infer))
    monkeypatch.setattr(engine, "_deliver", timed(engine._deliver))
    streams = [engine.open(lambda window: None) for _ in range(150)]
    for _ in range(TRIES):
        longest = 0.0
        with no_collections():
            for frame in range(100):
                piece = samples[LEAD + frame * 160 : LEAD + (frame + 1) * 160]
                for stream in streams:
                    stream.push(piece)
                await asyncio.sleep(0.02)
        if longest < 0.002:
            break
    await engine.close()
    assert 0 < longest < 0.002


async def test_nothing_is_left_behind(make: Callable[[], VoiceActivityDetector]) -> None:
    async def use() -> None:
        engine = make()
        await engine.start()
        await detect(engine, line()[0][: LEAD + 2000])
        await engine.close()

    await leaves_nothing(use)


async def test_line_noise_alone_is_no_speech(engine: VoiceActivityDetector) -> None:
    noise = np.random.default_rng(5).normal(0, 100, 10 * SAMPLE_RATE).astype(np.int16)
    found = await detect(engine, noise)
    assert sum(window.probability >= 0.5 for window in found) <= 2


async def test_a_caller_may_speak_from_the_first_sample() -> None:
    engine = SileroVad()
    await engine.start()
    samples, onset, end = line(-50.0)
    found = await detect(engine, samples[onset:])
    speech = [window.end for window in found if window.probability >= 0.5]
    assert speech[0] <= 0.1 * SAMPLE_RATE
    assert abs(speech[-1] - (end - onset)) <= 0.1 * SAMPLE_RATE
    await engine.close()


async def test_most_windows_of_a_listening_caller_are_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = SileroVad()
    await engine.start()
    inferred = 0
    enqueue = engine.enqueue

    def counting(stream: object) -> None:
        nonlocal inferred
        inferred += 1
        enqueue(stream)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "enqueue", counting)
    noise = np.random.default_rng(5).normal(0, 58, 20 * SAMPLE_RATE).astype(np.int16)
    found = await detect(engine, noise)
    assert inferred < 0.1 * len(found)
    await engine.close()
