"""Level of telephone audio: what is loud enough to be heard.

Peak amplitude is judged sample by sample, so that edges are exact; RMS levels are dBov, relative to
a full-scale square wave.
"""

from __future__ import annotations

import numpy as np

from telephony.media import g711
from telephony.media.frame import Samples

AUDIBLE = 328
"""Peak amplitude above which a sample is heard: 1 % of full scale, -40 dBFS."""

SILENT_DBOV = -96.0
"""Level given to digital silence."""


def codes_within(amplitude: int) -> bytes:
    """The mu-law bytes that decode to at most ``amplitude`` in either direction."""
    table = g711.decode(bytes(range(256))).astype(np.int32)
    return bytes(np.flatnonzero(np.abs(table) <= amplitude).astype(np.uint8))


QUIET_CODES = codes_within(AUDIBLE)
"""mu-law bytes that are not heard."""


def is_quiet(payload: bytes, quiet: bytes = QUIET_CODES) -> bool:
    """Whether no byte of a mu-law payload is outside ``quiet``; 0.2 us for 20 ms."""
    return not payload.translate(None, quiet)


def first_heard(payload: bytes, quiet: bytes = QUIET_CODES) -> int | None:
    """Index of the first mu-law byte outside ``quiet``, or None."""
    index = len(payload) - len(payload.lstrip(quiet))
    return index if index < len(payload) else None


def heard_end(payload: bytes, quiet: bytes = QUIET_CODES) -> int:
    """Index after the last mu-law byte outside ``quiet``; 0 when there is none."""
    return len(payload.rstrip(quiet))


def heard_span(samples: Samples, amplitude: int = AUDIBLE) -> tuple[int, int] | None:
    """First sample beyond ``amplitude`` and the index after the last one, or None."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > amplitude)
    return (int(loud[0]), int(loud[-1]) + 1) if loud.size else None


def rms_dbov(samples: Samples) -> float:
    """RMS level in dBov; ``SILENT_DBOV`` for silence and for no samples at all."""
    if not samples.size:
        return SILENT_DBOV
    power = float(np.mean(np.square(samples.astype(np.float64))))
    if power <= 0.0:
        return SILENT_DBOV
    return max(SILENT_DBOV, 10.0 * float(np.log10(power / 32768.0**2)))
