"""Recordings whose process was killed: completed up to the last half second that had reached the disk, or
deleted where nobody knows their call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

import structlog

from app.metrics import RECORDINGS_MENDED
from app.recordings import flac
from telephony.media.frame import SAMPLE_RATE

log = structlog.get_logger(__name__)

Known: TypeAlias = Callable[[UUID], Awaitable[bool]]
"""Whether the database has a call of this id."""

_KNOWN_SECONDS = 24 * 3600.0  # by when a call's events are in the database, where they ever get there


@dataclass(frozen=True, slots=True)
class Mended:
    """A recording that was completed after its process."""

    call_id: UUID
    key: str
    seconds: float


async def complete_left(folder: Path, known: Known) -> AsyncIterator[Mended]:
    """Complete what no process writes any more; those that somebody writes are left alone.

    One whose call is not ``known`` is nobody's, and deleted once it is a day old. One that cannot be
    completed is logged and left for the next time. Raises what ``known`` raises.
    """
    async for call_id, path in _left(folder):
        if await known(call_id):
            samples = await asyncio.to_thread(_complete, path)
            if samples:
                RECORDINGS_MENDED.inc()
                yield Mended(call_id, path.relative_to(folder).as_posix(), samples / SAMPLE_RATE)
        else:
            await asyncio.to_thread(_delete_old, path)


async def delete_strays(folder: Path, known: Known) -> None:
    """Delete what killed processes left of calls that are not ``known``, a day after.

    Raises what ``known`` raises.
    """
    async for call_id, path in _left(folder):
        if not await known(call_id):
            await asyncio.to_thread(_delete_old, path)


async def _left(folder: Path) -> AsyncIterator[tuple[UUID, Path]]:
    """Recordings that are not finished, by their calls; some may be written still."""
    for part in await asyncio.to_thread(lambda: sorted(folder.glob(f"*/*/*/*.flac{flac.PART}"))):
        path = part.with_name(part.name.removesuffix(flac.PART))
        with suppress(ValueError):  # no name of ours
            yield UUID(path.stem), path


def _complete(path: Path) -> int:
    """Samples; 0: there is nothing to be told of."""
    try:
        return flac.complete(path)
    except (BlockingIOError, FileNotFoundError):
        pass
    except flac.NotAudio as nothing:
        log.warning("a recording left by a killed process is empty", detail=str(nothing))
    except (OSError, RuntimeError) as error:
        log.error(
            "a recording left by a killed process cannot be completed; it is tried at the next start",
            recording=path.stem,
            error=type(error).__name__,
        )
    return 0


def _delete_old(path: Path) -> None:
    try:
        if time.time() - flac.part_of(path).stat().st_mtime < _KNOWN_SECONDS:
            return
        flac.delete(path)
    except (BlockingIOError, FileNotFoundError):
        return
    except OSError as error:
        log.error(
            "a recording of no call cannot be deleted; check the rights of the data directory's recordings",
            recording=path.stem,
            number=error.errno,
        )
        return
    log.warning("a recording was deleted whose call is not in the database", recording=path.stem)
