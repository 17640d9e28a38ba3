"""What every turn detector does, the fake included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

from app.engines.ports import TurnDetector
from app.engines.turn.smart_turn import SmartTurn
from telephony.media.frame import SAMPLE_RATE, Samples
from tests.contracts.probe import leaves_nothing
from tests.fakes.turn_detector import FakeTurnDetector
from tests.onnx_bytes import mean_model


def smart_turn(folder: Path) -> TurnDetector:
    model = folder / "model.onnx"
    model.write_bytes(mean_model("input_features", ("Sigmoid",)))
    return SmartTurn(model)


ENGINES: dict[str, Callable[[Path], TurnDetector]] = {
    "smart_turn": smart_turn,
    "fake": lambda _: FakeTurnDetector([0.9] * 1000),
}


@pytest.fixture(params=ENGINES)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TurnDetector]:
    engine = ENGINES[request.param](tmp_path)
    await engine.start()
    yield engine
    await engine.close()


def noise(seconds: float) -> Samples:
    return np.random.default_rng(4).normal(0, 3000, round(seconds * SAMPLE_RATE)).astype(np.int16)


@pytest.mark.parametrize("seconds", [0.0, 0.02, 1.0, 8.0, 30.0])
async def test_audio_of_any_length_has_a_probability(engine: TurnDetector, seconds: float) -> None:
    assert 0.0 <= await engine.complete(noise(seconds)) <= 1.0


async def test_the_same_audio_has_the_same_probability(engine: TurnDetector) -> None:
    samples = noise(2.0)
    before = samples.copy()
    answers = await asyncio.gather(*(engine.complete(samples) for _ in range(4)))
    assert len(set(answers)) == 1
    assert np.array_equal(samples, before)


async def test_questions_of_many_calls_are_all_answered(engine: TurnDetector) -> None:
    answers = await asyncio.gather(*(engine.complete(noise(seconds / 4)) for seconds in range(1, 17)))
    assert all(0.0 <= answer <= 1.0 for answer in answers)


@pytest.mark.parametrize("name", ENGINES)
async def test_nothing_is_left_behind(name: str, tmp_path: Path) -> None:
    async def use() -> None:
        engine = ENGINES[name](tmp_path)
        await engine.start()
        await engine.complete(noise(1.0))
        await engine.close()

    await leaves_nothing(use)
