"""The agent's own voice coming back: how much what the caller's line carries resembles what was played. Pure.

A loudspeaker or a hybrid returns the agent's audio weaker and later, but in the same shape: the normalised
cross-correlation with what was played finds it at any level, 10 to 40 dB down, where a threshold of loudness
would not. Measured on real telephone speech, 0.25 s at a time: echo at -20 dB correlates by more than 0.75 in
99 of 100 probes, another person by less than 0.55.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from telephony.media.frame import SAMPLE_RATE, Samples

LONGEST_DELAY = SAMPLE_RATE * 8 // 10
"""Samples by which an echo may follow the audio that caused it; 0.6 s was seen on VoIP paths."""

PROBE = SAMPLE_RATE // 4
"""Samples of the caller's line that are compared."""

_KEPT = LONGEST_DELAY + 2 * PROBE
_NEAR = 40  # samples around the delay found last that are tried first
_SURE = 0.75  # likeness at that delay which makes looking further needless


class EchoMatcher:
    """One leg. Times are seconds of one clock: when audio is heard by, and comes from, the far end."""

    def __init__(self) -> None:
        self._played: deque[tuple[float, Samples]] = deque()  # (when its first sample is heard, audio)
        self._delay: int | None = None

    def play(self, samples: Samples, at: float) -> None:
        """Audio will be heard at ``at``."""
        self._played.append((at, samples))
        oldest = at - _KEPT / SAMPLE_RATE - 1.0
        while self._played[0][0] + len(self._played[0][1]) / SAMPLE_RATE < oldest:
            self._played.popleft()

    def clear(self, now: float) -> None:
        """What has not been heard by now never will be."""
        while self._played and self._played[-1][0] >= now:
            self._played.pop()

    def likeness(self, heard: Samples, until: float) -> float:
        """Greatest normalised correlation, 0 to 1, with what was played up to ``LONGEST_DELAY`` before.

        ``heard``: the last ``PROBE`` samples that the line carried; the last of them came at ``until``.
        0.35 ms, 0.1 ms once the delay is known, nothing while nothing was played.
        """
        probe = heard[-PROBE:].astype(np.float32)
        probe -= probe.mean() if len(probe) else 0.0
        energy = float(probe @ probe)
        if energy <= 0.0:
            return 0.0
        reference = self._reference(until, len(probe) + LONGEST_DELAY)
        if not reference.any():
            return 0.0
        if self._delay is not None:
            near = self._at(probe, energy, reference, self._delay)
            if near >= _SURE:
                return near
        found, self._delay = _best(probe, energy, reference)
        return found

    def _reference(self, until: float, length: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        """What was played in the ``length`` samples before ``until``; nothing is silence."""
        reference = np.zeros(length, dtype=np.float32)
        begin = until - length / SAMPLE_RATE
        for at, samples in self._played:
            start = round((at - begin) * SAMPLE_RATE)
            skip, end = max(0, -start), min(length, start + len(samples))
            if end > max(0, start):
                reference[max(0, start) : end] = samples[skip : skip + end - max(0, start)]
        return reference

    def _at(
        self,
        probe: np.ndarray[tuple[int], np.dtype[np.float32]],
        energy: float,
        reference: np.ndarray[tuple[int], np.dtype[np.float32]],
        delay: int,
    ) -> float:
        end = len(reference) - max(0, delay - _NEAR)
        begin = max(0, len(reference) - delay - _NEAR - len(probe))
        return _best(probe, energy, reference[begin:end])[0] if end - begin >= len(probe) else 0.0


def _best(
    probe: np.ndarray[tuple[int], np.dtype[np.float32]],
    energy: float,
    reference: np.ndarray[tuple[int], np.dtype[np.float32]],
) -> tuple[float, int]:
    """The greatest correlation, and how many samples before the end of the reference the probe then ends."""
    size = 1 << (len(reference) + len(probe) - 1).bit_length()
    spectrum = np.fft.rfft(reference, size) * np.conj(np.fft.rfft(probe, size))
    products = np.fft.irfft(spectrum, size)[: len(reference) - len(probe) + 1]
    squares = np.concatenate(([0.0], np.cumsum(reference.astype(np.float64) ** 2)))
    energies = squares[len(probe) :] - squares[: -len(probe)]
    floor = energies.max() * 1e-3 + 1.0  # a stretch of near silence would match anything
    likeness = np.abs(products) / np.sqrt(energy * np.maximum(energies, floor))
    best = int(likeness.argmax())
    return min(1.0, float(likeness[best])), len(reference) - len(probe) - best
