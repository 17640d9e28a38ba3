"""The model that hears whether a turn is over: its features, its loading, its answers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from app.engines.build import build_turn_detector
from app.engines.errors import EngineError, EngineUnavailable
from app.engines.turn.log_mel import FRAMES, MELS, RATE, log_mel
from app.engines.turn.smart_turn import SmartTurn
from config.engines import EngineSettings, SmartTurnSettings
from tests.onnx_bytes import mean_model


def tone(hertz: float, seconds: float, rate: int, amplitude: float = 0.3) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def mel(hertz: float) -> float:
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)


@pytest.mark.parametrize("hertz", [200.0, 440.0, 1000.0, 2500.0, 5000.0])
def test_a_tone_is_loudest_in_the_filter_at_its_pitch(hertz: float) -> None:
    features = log_mel(tone(hertz, 8, RATE).astype(np.float32))
    assert features.shape == (MELS, FRAMES)
    assert features.dtype == np.float32
    expected = mel(hertz) / mel(RATE / 2) * (MELS + 1) - 1
    assert abs(int(features[:, 400].argmax()) - expected) <= 1


def test_a_frame_is_what_its_definition_says() -> None:
    audio = np.random.default_rng(5).normal(0, 0.1, 8 * RATE)
    scaled = (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)
    frame = 321
    window = scaled[frame * 160 - 200 : frame * 160 + 200] * (
        0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    )
    power = np.abs(np.exp(-2j * np.pi * np.outer(np.arange(201), np.arange(400)) / 400) @ window) ** 2
    points = [mel(RATE / 2) * index / (MELS + 1) for index in range(MELS + 2)]
    edges = [point * 200 / 3 if point < 15 else 1000 * 6.4 ** ((point - 15) / 27) for point in points]
    expected = []
    for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
        weights = [
            max(0.0, min((hertz - low) / (middle - low), (high - hertz) / (high - middle))) * 2 / (high - low)
            for hertz in np.arange(201) * 40.0
        ]
        expected.append((math.log10(max(1e-10, float(np.dot(weights, power)))) + 4) / 4)
    assert log_mel(audio.astype(np.float32))[:, frame] == pytest.approx(expected, abs=1e-3)


def test_loudness_and_old_audio_do_not_matter() -> None:
    audio = np.random.default_rng(6).normal(0, 0.01, 9 * RATE).astype(np.float32)
    recent = log_mel(audio[RATE:])
    assert log_mel(audio) == pytest.approx(recent)
    assert log_mel(audio[RATE:] * 20) == pytest.approx(recent, abs=1e-3)


@pytest.mark.parametrize("samples", [0, 1, 3 * RATE])
def test_shorter_audio_is_preceded_by_silence(samples: int) -> None:
    features = log_mel(np.full(samples, 0.1, dtype=np.float32) * np.cos(np.arange(samples, dtype=np.float32)))
    assert features.shape == (MELS, FRAMES)
    assert np.isfinite(features).all()
    assert np.ptp(features[:, : FRAMES - samples // 160 - 3], axis=1).max() < 1e-3


async def test_the_model_answers_with_a_probability(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(mean_model("input_features", ("Sigmoid",)))
    detector = SmartTurn(path)
    await detector.start()
    try:
        samples = (tone(300, 9, 8000) * 32767).astype(np.int16)
        heard = await detector.complete(samples)
        assert 0.0 < heard < 1.0
        assert await detector.complete(samples[8000:]) == pytest.approx(heard, abs=0.01)
        assert 0.0 <= await detector.complete(samples[:0]) <= 1.0
    finally:
        await detector.close()


async def test_a_missing_file_says_where_to_get_it(tmp_path: Path) -> None:
    detector = SmartTurn(tmp_path / "nowhere.onnx")
    with pytest.raises(EngineUnavailable, match=r"nowhere\.onnx.*TRUNKLINE_ENGINES__SMART_TURN__PATH"):
        await detector.start()
    await detector.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a model", "no ONNX model"),
        (mean_model("audio", ("Sigmoid",)), "does not take 'input_features'"),
        (mean_model("input_features", ("Exp", "Exp", "Exp")), "no probability"),
    ],
)
async def test_another_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    detector = SmartTurn(path)
    with pytest.raises(EngineUnavailable, match=message):
        await detector.start()
    await detector.close()


async def test_a_detector_that_was_not_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="not started"):
        await SmartTurn(tmp_path / "model.onnx").complete(np.zeros(8, dtype=np.int16))


def test_it_is_built_where_its_path_is_set() -> None:
    assert build_turn_detector(EngineSettings()) is None
    built = build_turn_detector(EngineSettings(smart_turn=SmartTurnSettings(path="/models/turn.onnx")))
    assert isinstance(built, SmartTurn)
