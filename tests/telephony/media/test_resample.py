from __future__ import annotations

from math import ceil

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.media.resample import Resampler

RATES = [
    (8000, 16000),
    (16000, 8000),
    (22050, 8000),
    (24000, 8000),
    (48000, 8000),
    (8000, 8000),
    (8000, 22050),
]
DOWN = [(source, target) for source, target in RATES if source > target]


def sine(frequency: float, rate: int, seconds: float = 1.0) -> npt.NDArray[np.float32]:
    return (10_000 * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def level_db(samples: npt.NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.mean(samples.astype(float) ** 2) + 1e-9))


def fit(samples: npt.NDArray[np.float32], frequency: float, rate: int) -> tuple[float, float]:
    """Gain of the sine in dB against amplitude 10,000, and its distance in dB to all the rest."""
    time = np.arange(samples.size) / rate
    basis = np.stack([np.sin(2 * np.pi * frequency * time), np.cos(2 * np.pi * frequency * time)], axis=1)
    factors, *_ = np.linalg.lstsq(basis, samples.astype(float), rcond=None)
    clean = (basis @ factors).astype(np.float32)
    return float(20 * np.log10(np.hypot(*factors) / 10_000)), level_db(clean) - level_db(samples - clean)


@pytest.mark.parametrize(("source", "target"), RATES)
@pytest.mark.parametrize("frequency", [300, 1000, 2400, 3000, 3300])
def test_the_telephone_band_passes_clean_and_flat(source: int, target: int, frequency: int) -> None:
    output = Resampler(source, target).push(sine(frequency, source))[target // 20 : -target // 20]
    gain, distance = fit(output, frequency, target)
    assert abs(gain) < 0.15
    assert distance > 69


@pytest.mark.parametrize(("source", "target"), DOWN)
@pytest.mark.parametrize("frequency", [4650, 5000, 6000, 7000, 7900])
def test_what_would_fold_into_the_telephone_band_is_70_db_down(
    source: int, target: int, frequency: int
) -> None:
    output = Resampler(source, target).push(sine(frequency, source))[target // 20 :]
    assert level_db(output) - level_db(sine(frequency, source)) < -70


@pytest.mark.parametrize(("source", "target"), RATES)
@given(cuts=st.lists(st.integers(0, 700), max_size=12))
def test_output_does_not_depend_on_how_the_stream_is_cut(source: int, target: int, cuts: list[int]) -> None:
    stream = np.random.default_rng(5).integers(-32768, 32767, size=4000, dtype=np.int16)
    whole = Resampler(source, target).push(stream)
    resampler, pieces, fed = Resampler(source, target), [], 0
    for cut in cuts:
        pieces.append(resampler.push(stream[fed : fed + cut]))
        fed = min(fed + cut, stream.size)
        assert sum(piece.size for piece in pieces) == ceil(fed * target / source)
    pieces.append(resampler.push(stream[fed:]))
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize(("source", "target", "chunk", "expected"), [
    (8000, 16000, 160, 320),
    (16000, 8000, 320, 160),
    (22050, 8000, 441, 160),
    (24000, 8000, 480, 160),
])  # fmt: skip
def test_every_frame_gives_a_whole_frame(source: int, target: int, chunk: int, expected: int) -> None:
    resampler = Resampler(source, target)
    assert {resampler.push(np.zeros(chunk, dtype=np.int16)).size for _ in range(100)} == {expected}


def test_delay_is_below_two_milliseconds() -> None:
    resampler = Resampler(24000, 8000)
    impulse = np.zeros(2400, dtype=np.float32)
    impulse[0] = 1.0
    assert resampler.delay_seconds == pytest.approx(0.00175)
    assert int(np.argmax(resampler.push(impulse))) == 14  # samples at 8 kHz


def test_flush_gives_the_rest_and_starts_anew() -> None:
    resampler = Resampler(16000, 8000)
    stream = sine(500, 16000, 0.1)
    first = np.concatenate([resampler.push(stream), resampler.flush(np.float32)])
    again = np.concatenate([resampler.push(stream), resampler.flush(np.float32)])
    assert first.size == 800 + 14
    np.testing.assert_array_equal(first, again)


def test_int16_is_rounded_and_clipped_never_wrapped() -> None:
    square = np.repeat(np.array([32767, -32768] * 20, dtype=np.int16), 40)
    output = Resampler(8000, 16000).push(square)
    assert output.dtype == np.int16
    assert output.max() == 32767
    assert output.min() == -32768
    settled = output[40:70]  # the filter overshoots at an edge: it must clip there, not wrap round
    assert (settled > 20_000).all()


def test_equal_rates_pass_through() -> None:
    stream = np.arange(10, dtype=np.int16)
    resampler = Resampler(8000, 8000)
    np.testing.assert_array_equal(resampler.push(stream), stream)
    assert resampler.flush(np.int16).size == 0


def test_rates_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        Resampler(0, 8000)
