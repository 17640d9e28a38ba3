"""A recording that the carrier made becomes a file like our own: FLAC, 8 kHz, two channels."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.recordings import flac
from app.recordings.ports import CarrierRecordings
from app.recordings.scratch import scratch_file
from telephony.errors import CarrierError
from telephony.media.frame import SAMPLE_RATE

MOST_BYTES = 1024 * 1024 * 1024
"""Of a carrier's WAV; 32 kB a second, 9 hours."""


async def fetch(carrier: CarrierRecordings, recording: str, path: Path, folder: Path) -> None:
    """Write the carrier's recording to ``path``, which is under ``folder``, all of it or nothing.

    Raises ``CarrierError``, retryable while the carrier does not have it yet, and ``OSError``.
    """
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True, mode=0o700)
    with scratch_file(folder) as fetched, scratch_file(folder) as new:
        await carrier.fetch(recording, fetched, MOST_BYTES)
        await asyncio.to_thread(_convert, fetched, new)
        new.rename(path)
        await asyncio.to_thread(flac.sync_folder, path.parent)


def _convert(wav: Path, new: Path) -> None:
    try:
        if flac.sample_rate(wav) != SAMPLE_RATE:
            raise CarrierError("the carrier's recording is not one of 8 kHz, as telephone calls are")
        flac.rewrite(new, _both_channels(flac.blocks(wav)))
    except flac.NotAudio:
        raise CarrierError("the carrier's recording is no WAV file that can be read") from None


def _both_channels(audio: Iterator[npt.NDArray[np.int16]]) -> Iterator[npt.NDArray[np.int16]]:
    """Mono, where a carrier gives no more, stands on both."""
    for block in audio:
        yield block[:, :2] if block.shape[1] >= 2 else np.repeat(block, 2, axis=1)
