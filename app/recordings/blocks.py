"""A stretch of a recording, as pieces of audio and where they lie. Pure.

The event loop only hands pieces on; ``pcm`` copies them together in the writer's thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from telephony.media.frame import Samples

CALLER, AGENT = 0, 1
"""The channels: left is the caller, right the agent."""

Piece: TypeAlias = tuple[int, Samples]
"""Where it begins in the recording, in samples, and the audio."""

Span: TypeAlias = tuple[int, int]
"""From a sample of the recording to another, the last one excluded."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The recording from sample ``begin`` to ``end``. Pieces may reach beyond both; what does is cut off.

    Where pieces of a channel overlap the later one of the sequence is heard; where none lies, silence, and
    on both channels within ``silent``.
    """

    begin: int
    end: int
    caller: Sequence[Piece] = ()
    agent: Sequence[Piece] = ()
    silent: Sequence[Span] = ()

    @property
    def samples(self) -> int:
        """Samples of each channel."""
        return self.end - self.begin

    def pcm(self, most: int) -> Iterator[npt.NDArray[np.int16]]:
        """The audio as arrays ``(n, 2)`` of at most ``most`` samples a channel, in order."""
        for begin in range(self.begin, self.end, most):
            yield self._between(begin, min(begin + most, self.end))

    def _between(self, begin: int, end: int) -> npt.NDArray[np.int16]:
        stretch = np.zeros((end - begin, 2), dtype=np.int16)
        for channel, pieces in ((CALLER, self.caller), (AGENT, self.agent)):
            for start, samples in pieces:
                first, last = max(start, begin), min(start + len(samples), end)
                if first < last:
                    stretch[first - begin : last - begin, channel] = samples[first - start : last - start]
        for start, stop in self.silent:
            stretch[max(start - begin, 0) : max(stop - begin, 0)] = 0
        return stretch
