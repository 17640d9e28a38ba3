"""Recordings whose process was killed: completed up to the last half second that had reached the disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import structlog

from app.metrics import RECORDINGS_MENDED
from app.recordings import flac
from telephony.media.frame import SAMPLE_RATE

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Mended:
    """A recording that was completed after its process."""

    call_id: UUID
    key: str
    seconds: float


def complete_left(folder: Path) -> Iterator[Mended]:
    """Complete what no process writes any more; those that somebody writes are left alone. Blocks.

    One that cannot be completed is logged and left for the next time.
    """
    for part in sorted(folder.glob(f"*/*/*/*.flac{flac.PART}")):
        path = part.with_name(part.name.removesuffix(flac.PART))
        try:
            call_id = UUID(path.stem)
            samples = flac.complete(path)
        except (BlockingIOError, FileNotFoundError):
            continue
        except flac.NotAudio as nothing:
            log.warning("a recording left by a killed process is empty", detail=str(nothing))
            continue
        except (OSError, ValueError, RuntimeError) as error:
            log.error(
                "a recording left by a killed process cannot be completed; it is tried at the next start",
                recording=path.stem,
                error=type(error).__name__,
            )
            continue
        RECORDINGS_MENDED.inc()
        yield Mended(call_id, path.relative_to(folder).as_posix(), samples / SAMPLE_RATE)
