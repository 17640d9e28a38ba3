"""From a finished recording to one that is kept: checked, in its store, known by its digest.

``finalise`` may be killed at any point and done again, as often as wanted: until the store has the file the
local one stays, and once the store has it nothing is uploaded twice. The row's id is made of the call's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid5

import structlog

from app.metrics import RECORDINGS_FAILED
from app.recordings import flac
from app.recordings.fetching import fetch
from app.recordings.forgetting import Sound, forget
from app.recordings.inspection import FileFacts, inspect
from app.recordings.ports import Places, Store
from app.recordings.scratch import scratch_file
from app.recordings.stores import NotStored, StoreError
from app.voice.events import RecordingFinished
from telephony.errors import CarrierError

log = structlog.get_logger(__name__)

TOLERANCE_SECONDS = 0.02
"""By how much a recording may be longer or shorter than its call."""

_SOON = timedelta(seconds=60)  # in which a process writes what waits in its queue
_NAMESPACE = UUID("6f6b0c3e-6d3e-4d55-9a3e-0f0a6f1d2c11")


class RecordingNotReady(Exception):
    """The recording is still being written, or made at the carrier. Try again in a few seconds."""


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """A row of ``recordings``. ``path`` is the key in the store; ``pauses`` are from and to, in seconds.

    ``state``: ``kept``; ``failed``: something is lost, and ``size_bytes`` is 0 where all is; ``erased``: the
    caller refused it.
    """

    id: UUID
    call_id: UUID
    started_at: datetime
    store: str
    path: str
    format: str
    channels: int
    sample_rate: int
    duration_seconds: float
    size_bytes: int
    sha256: str
    pauses: tuple[tuple[float, float], ...]
    state: str
    redacted: bool
    created_at: datetime


async def finalise(
    recording: RecordingFinished, started_at: datetime, call_seconds: float | None, places: Places
) -> StoredRecording:
    """Put a call's recording into the store. ``started_at`` is the call's.

    ``call_seconds`` is the length to check against, within ``TOLERANCE_SECONDS``; ``None`` for a call whose
    process was killed. A recording that the carrier made begins when it could, so its length is not checked.

    Raises:
        RecordingNotReady: try again.
        StoreError: the store cannot be used; try again.
        CarrierError: the carrier does not give it; try again where it is ``retryable``.
    """
    if recording.state == "erased":
        await forget(_sound(recording, started_at), places)
        return _row(recording, started_at, places, FileFacts(0, "", 0.0), "erased")
    recording = await _found(recording, places)
    path = places.folder / recording.key
    facts = await _stored(recording.key, places)
    if facts is None:
        if recording.source == "carrier":
            await _fetch(recording, path, places)
        if not await _local(recording, path):
            return _failed(recording, started_at, places, FileFacts(0, "", 0.0), "missing")
        facts = await asyncio.to_thread(inspect, path)
        await places.store.put(path, recording.key)
        if await places.store.size(recording.key) != facts.size_bytes:
            raise StoreError(f"the store {places.store.name} did not keep all of {recording.key}; try again")
    if places.store.name != "local":
        await asyncio.to_thread(path.unlink, missing_ok=True)
    if recording.carrier_recording and places.carrier is not None:
        await places.carrier.delete(recording.carrier_recording)
    if facts.seconds is None or (
        recording.source != "carrier"
        and call_seconds is not None
        and abs(facts.seconds - call_seconds) > TOLERANCE_SECONDS
    ):
        return _failed(recording, started_at, places, facts, "length")
    return _row(recording, started_at, places, facts, recording.state)


async def _found(recording: RecordingFinished, places: Places) -> RecordingFinished:
    """With the carrier's id of its recording, where the call ended before the carrier had told it."""
    if recording.source != "carrier":
        return recording
    if places.carrier is None:
        raise CarrierError(
            "the carrier made the recording and has it still, and the settings name no account there; "
            "set TRUNKLINE_TWILIO__ACCOUNT_SID and TRUNKLINE_TWILIO__AUTH_TOKEN",
            retryable=True,
        )
    if recording.carrier_recording:
        return recording
    return replace(recording, carrier_recording=await places.carrier.find(recording.carrier_call_id))


async def _stored(key: str, places: Places) -> FileFacts | None:
    """What the store has already, where it is another place than the folder."""
    if places.store.name == "local":
        return None
    try:
        await places.store.size(key)
        async with downloaded(places.store, key, places.folder) as copy:
            return await asyncio.to_thread(inspect, copy)
    except NotStored:
        return None


@asynccontextmanager
async def downloaded(store: Store, key: str, folder: Path) -> AsyncIterator[Path]:
    """A copy of a stored recording, for a while. Raises ``StoreError``, ``NotStored``, ``OSError``."""
    with scratch_file(folder) as copy:
        with copy.open("wb") as file:
            async for part in store.stream(key):
                await asyncio.to_thread(file.write, part)
        yield copy


def _sound(recording: RecordingFinished, started_at: datetime) -> Sound:
    return Sound(
        recording.call_id,
        started_at,
        carrier_call_id=recording.carrier_call_id,
        path=recording.key,
        source=recording.source,
        state=recording.state,
        carrier_recording=recording.carrier_recording,
    )


async def _fetch(recording: RecordingFinished, path: Path, places: Places) -> None:
    if places.carrier is None or not recording.carrier_recording or await asyncio.to_thread(path.exists):
        return
    await fetch(places.carrier, recording.carrier_recording, path, places.folder)


async def _local(recording: RecordingFinished, path: Path) -> bool:
    """Whether there is a finished file; one that its process left is completed."""
    if await asyncio.to_thread(path.exists):
        return True
    try:
        await asyncio.to_thread(flac.complete, path)
    except BlockingIOError:
        raise RecordingNotReady(f"the recording {path.name} is still being written; try again") from None
    except (FileNotFoundError, flac.NotAudio):
        if await asyncio.to_thread(path.exists):
            return True  # completed meanwhile
        if datetime.now(UTC) - recording.at < _SOON:
            raise RecordingNotReady(f"the recording {path.name} is not on disk yet; try again") from None
        return False
    return True


def _failed(
    recording: RecordingFinished, started_at: datetime, places: Places, facts: FileFacts, reason: str
) -> StoredRecording:
    RECORDINGS_FAILED.labels(reason).inc()
    log.error(
        "a recording is not whole", call_id=str(recording.call_id), reason=reason, seconds=facts.seconds
    )
    return _row(recording, started_at, places, facts, "failed")


def _row(
    recording: RecordingFinished, started_at: datetime, places: Places, facts: FileFacts, state: str
) -> StoredRecording:
    return StoredRecording(
        id=uuid5(_NAMESPACE, str(recording.call_id)),
        call_id=recording.call_id,
        started_at=started_at,
        store=places.store.name,
        path=recording.key,
        format=recording.format,
        channels=recording.channels,
        sample_rate=recording.sample_rate,
        duration_seconds=facts.seconds or 0.0,
        size_bytes=facts.size_bytes,
        sha256=facts.sha256,
        pauses=recording.pauses,
        state=state,
        redacted=False,
        created_at=datetime.now(UTC),
    )
