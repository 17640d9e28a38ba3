"""Parts of a stored recording made silent, to redact it; all else, and its length, stay as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.recordings import flac
from app.recordings.finalise import downloaded
from app.recordings.inspection import FileFacts, inspect
from app.recordings.ports import Store
from app.recordings.scratch import scratch_file
from telephony.media.frame import SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class SilentSpan:
    """Of one channel (``blocks.CALLER``, ``blocks.AGENT``), in seconds of the recording."""

    channel: int
    begin: float
    end: float


async def silence(store: Store, key: str, spans: Sequence[SilentSpan], folder: Path) -> FileFacts:
    """Replace a stored recording by one that is silent within ``spans``; returns what is stored now.

    To be called by whoever is alone with the call, or what was deleted meanwhile would come back. The store
    has either the old or the new one at any time; done again, it changes nothing. ``folder`` is for the
    copies meanwhile: the recording is never whole in memory. Raises ``NotStored``, ``StoreError``,
    ``flac.NotAudio`` and ``OSError``.
    """
    async with downloaded(store, key, folder) as copy:
        with scratch_file(folder) as new:
            await asyncio.to_thread(flac.rewrite, new, _silenced(copy, spans))
            facts = await asyncio.to_thread(inspect, new)
            await store.put(new, key)
            return facts


def _silenced(path: Path, spans: Sequence[SilentSpan]) -> Iterator[npt.NDArray[np.int16]]:
    begin = 0
    for block in flac.blocks(path):
        for span in spans:
            first = max(0, round(span.begin * SAMPLE_RATE) - begin)
            last = max(0, round(span.end * SAMPLE_RATE) - begin)
            block[first:last, span.channel] = 0
        begin += len(block)
        yield block
