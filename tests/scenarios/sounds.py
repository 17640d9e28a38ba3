"""The sounds of a call: speech that never pauses, coughs, noise. Always the same for the same input.

Speech is cut from the demonstration's recordings with every pause taken out and the level evened, so that
it begins and ends where the scenario says and no detector hears a pause inside it.
"""

from __future__ import annotations

from functools import cache
from typing import Literal
from zlib import crc32

import numpy as np
import numpy.typing as npt

from config.settings import ROOT
from telephony.media.frame import FRAME_SAMPLES, SAMPLE_RATE, Samples
from telephony.simulator.speech import read_wav

Speaker = Literal["caller", "agent"]
Signal = npt.NDArray[np.float64]

_SAID_BY: dict[Speaker, tuple[str, ...]] = {
    "caller": ("hours", "interruption", "number", "parcel", "parcel_number", "wrong_number"),
    "agent": ("goodbye", "person", "thanks", "unknown"),
}
_PITCH = 1.25  # of the agent's voice, to that of the recordings
_LEVEL = 3500.0  # RMS of a frame of speech: -19 dBFS
_QUIETEST = 0.12  # of the loud frames' RMS; what is quieter is a pause
_MOST_GAIN = 4.0
_FADE = 40  # samples; 5 ms


def speech(seconds: float, speaker: Speaker, seed: str, level: float = 0.0) -> Samples:
    """Somebody talking for exactly so long; another ``seed`` says something else. ``level`` in dB.

    Caller and agent differ in words and pitch: else one would be taken for the other's echo.
    """
    source = _talk(speaker)
    begin = crc32(seed.encode()) % len(source)
    taken = np.take(source, np.arange(begin, begin + round(seconds * SAMPLE_RATE)), mode="wrap")
    return _pcm(_faded(taken) * 10 ** (level / 20))


def hum(seconds: float) -> Samples:
    """A tone that changes by 1.4 % of full scale at most from sample to sample.

    Of 97 Hz, so that neither frames nor characters end where it is zero.
    """
    return _pcm(6000 * np.sin(2 * np.pi * 97 * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE))


def cough(seconds: float, level: float) -> Samples:
    """A burst of breath that dies away. ``level`` is its peak RMS in dBFS."""
    length = round(seconds * SAMPLE_RATE)
    breath = np.random.default_rng(3).normal(0.0, 1.0, length)
    breath = np.convolve(breath, np.ones(3) / 3, "same") * np.exp(-np.arange(length) * 2.0 / length)
    return _pcm(_faded(breath) * 32768 * 10 ** (level / 20))


def noise(seconds: float, level: float) -> Samples:
    """White noise of a level in dBFS (RMS)."""
    drawn = np.random.default_rng(4).normal(0.0, 1.0, round(seconds * SAMPLE_RATE))
    return _pcm(_faded(drawn) * 32768 * 10 ** (level / 20))


@cache
def _talk(speaker: Speaker) -> Signal:
    folder = ROOT / "demo"
    talk = np.concatenate([_without_pauses(read_wav(folder / f"{name}.wav")) for name in _SAID_BY[speaker]])
    return talk if speaker == "caller" else _higher(talk)


def _higher(signal: Signal) -> Signal:
    """The voice of somebody else."""
    higher: Signal = np.interp(np.arange(0, len(signal) - 1, _PITCH), np.arange(len(signal)), signal)
    return higher


def _without_pauses(samples: Samples) -> Signal:
    count = len(samples) // FRAME_SAMPLES
    frames = samples[: count * FRAME_SAMPLES].astype(np.float64).reshape(count, FRAME_SAMPLES)
    loudness = np.sqrt(np.square(frames).mean(axis=1))
    spoken = loudness > _QUIETEST * np.percentile(loudness, 90)
    gain = np.minimum(_MOST_GAIN, _LEVEL / loudness[spoken])
    smooth = np.convolve(np.pad(gain, 2, mode="edge"), np.ones(5) / 5, "valid")
    even: Signal = frames[spoken] * smooth[:, None]
    return even.ravel()


def _faded(signal: Signal) -> Signal:
    ramp = np.minimum(1.0, np.arange(1, len(signal) + 1) / _FADE)
    return signal * ramp * ramp[::-1]


def _pcm(signal: Signal) -> Samples:
    return np.clip(signal, -32768, 32767).astype(np.int16)
