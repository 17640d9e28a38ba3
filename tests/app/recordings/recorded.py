"""What tests of recordings share: a sink in memory, tones, where a tone lies in a recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.recordings import flac
from app.recordings.blocks import Block
from telephony.media.frame import SAMPLE_RATE, Samples


class MemorySink:
    """A ``BlockSink`` that keeps the audio; ``open`` makes it the sink of a tape."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.closed = self.discarded = False
        self.failures: list[str] = []

    @property
    def failed(self) -> bool:
        return bool(self.failures)

    def write(self, block: Block) -> None:
        assert block.begin == (self.blocks[-1].end if self.blocks else 0)
        self.blocks.append(block)

    def close(self) -> None:
        self.closed = True

    def discard(self) -> None:
        self.discarded = True

    def fail(self, reason: str) -> None:
        self.failures.append(reason)

    def open(self) -> MemorySink:
        return self

    @property
    def audio(self) -> npt.NDArray[np.int16]:
        return np.concatenate([part for block in self.blocks for part in block.pcm(SAMPLE_RATE)])


def whole(path: Path) -> npt.NDArray[np.int16]:
    """All of a recording, ``(n, 2)``."""
    return np.concatenate(list(flac.blocks(path)))


def beep(hertz: float, seconds: float) -> Samples:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (8000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)


def noise(seconds: float, seed: int) -> Samples:
    """Found again in a recording to the sample."""
    draws = np.random.default_rng(seed).normal(0, 4000, round(seconds * SAMPLE_RATE))
    return np.clip(draws, -32000, 32000).astype(np.int16)


def place_of(sought: Samples, channel: Samples) -> int:
    """Where audio lies in a channel: the sample of the best correlation."""
    size = len(channel) + len(sought)
    spectrum = np.fft.rfft(channel.astype(np.float64), size) * np.conj(
        np.fft.rfft(sought.astype(np.float64), size)
    )
    return int(np.argmax(np.fft.irfft(spectrum, size)[: len(channel)]))
