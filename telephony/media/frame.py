"""The unit of audio inside Trunkline: mono PCM16 at the telephone's 8 kHz."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.int16]
"""Mono PCM16 samples, shape ``(n,)``, native byte order."""

SAMPLE_RATE = 8000
"""Samples a second of every telephone leg (G.711)."""

FRAME_SAMPLES = 160
"""Samples of one 20 ms frame."""

FRAME_SECONDS = 0.02


def silence(samples: int) -> Samples:
    """Digital silence of the given length in samples."""
    return np.zeros(samples, dtype=np.int16)
