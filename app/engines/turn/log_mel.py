"""Whisper's log-mel features of the last 8 s of speech. Pure.

After ``WhisperFeatureExtractor`` of Hugging Face transformers with ``do_normalize``: audio of zero mean and
unit variance, 25 ms Hann windows every 10 ms, 80 triangular filters on Slaney's mel scale, base-10 logarithm
within 8 of the loudest, then ``(x + 4) / 4``. In float32, within 0.001 of it.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Floats: TypeAlias = npt.NDArray[np.float32]

RATE = 16_000
SECONDS = 8
MELS, FRAMES = 80, 800
_SAMPLES = RATE * SECONDS
_WINDOW, _HOP = 400, 160
_FLOOR = 1e-10
_LEAST_VARIANCE = 1e-7
_RANGE = 8.0  # decades of power kept below the loudest


def log_mel(audio: Floats) -> Floats:
    """Features of shape ``(MELS, FRAMES)`` of mono audio at ``RATE``, of any length and scale.

    The last 8 s count; shorter audio is preceded by silence.
    """
    recent = np.zeros(_SAMPLES, dtype=np.float32)
    used = audio[-_SAMPLES:]
    recent[_SAMPLES - used.size :] = used
    recent = (recent - recent.mean()) / np.sqrt(recent.var() + _LEAST_VARIANCE)
    padded = np.pad(recent, _WINDOW // 2, mode="reflect")
    frames = sliding_window_view(padded, _WINDOW)[: FRAMES * _HOP : _HOP]
    spectrum = np.fft.rfft(frames * _HANN, axis=-1)
    power = spectrum.real**2 + spectrum.imag**2
    logarithm = np.log10(np.maximum(_FLOOR, power.astype(np.float32) @ _FILTERS)).T
    kept = np.maximum(logarithm, logarithm.max() - _RANGE)
    return np.ascontiguousarray((kept + 4.0) / 4.0, dtype=np.float32)


def _hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Slaney's scale: linear to 1 kHz (15 mel), then 27 mel to a factor of 6.4."""
    return np.where(mel < 15.0, 200.0 / 3.0 * mel, 1000.0 * 6.4 ** ((mel - 15.0) / 27.0))


def _filters() -> Floats:
    """Triangles of equal area, shape ``(_WINDOW // 2 + 1, MELS)``."""
    highest = 15.0 + 27.0 * np.log(RATE / 2 / 1000.0) / np.log(6.4)
    edges = _hertz(np.linspace(0.0, highest, MELS + 2))
    bins = np.linspace(0.0, RATE / 2, _WINDOW // 2 + 1)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * 2.0 / (edges[2:] - edges[:-2])).astype(np.float32)


_HANN = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
_FILTERS = _filters()
