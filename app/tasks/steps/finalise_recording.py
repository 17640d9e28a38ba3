"""Step: the call's recording goes into its store, checked."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.postcall.record import FinishedCall
from app.postcall.steps import SKIPPED, Done, StepFailed
from app.recordings import flac
from app.recordings.finalise import RecordingNotReady, StoredRecording, finalise
from app.recordings.keys import FORMAT, key_of, keys_of
from app.recordings.models import Recording
from app.recordings.stores import StoreError
from app.tasks.tools import Tools
from app.voice.events import RecordingFinished
from telephony.errors import CarrierError
from telephony.media.frame import SAMPLE_RATE

_CARRIER = "twilio"  # whose recordings ``Tools`` has access to
_KILLED = "us"  # the outcome of a call whose process died: nobody knows its true length


async def finalise_recording(call: FinishedCall, tools: Tools) -> Done:
    """Put it there; skipped where the call was not recorded."""
    async with tools.database.transaction() as session:
        row = await session.scalar(select(Recording).where(Recording.call_id == call.id))
    length = None if call.outcome == _KILLED else call.duration_seconds
    try:
        finished = await _left(call, tools) if row is None else _finished(call, row)
        if finished is None:
            return SKIPPED
        if call.noted("recording_refused"):  # also where its process died before it had deleted it
            finished = replace(finished, state="erased")
        stored = await finalise(finished, call.started_at, length, tools.places)
    except (RecordingNotReady, StoreError) as error:
        raise StepFailed(str(error)) from error
    except CarrierError as error:
        raise StepFailed(str(error), final=not error.retryable) from error

    async def write(session: AsyncSession) -> None:
        await _write(session, stored, finished.source)

    facts = {
        "state": stored.state,
        "store": stored.store,
        "seconds": round(stored.duration_seconds, 3),
        "size_bytes": stored.size_bytes,
    }
    return Done(facts, write)


def _finished(call: FinishedCall, row: Recording) -> RecordingFinished:
    """What the process that answered reported, as it was stored."""
    return RecordingFinished(
        call_id=call.id,
        at=row.created_at,
        key=row.path,
        format=row.format,
        channels=row.channels,
        sample_rate=row.sample_rate,
        duration=row.duration_seconds or 0.0,
        pauses=tuple((float(begin), float(end)) for begin, end in row.pauses),
        state="kept" if row.state == "recorded" else row.state,
        source=row.source,
        carrier_call_id=call.carrier_call_id,
    )


async def _left(call: FinishedCall, tools: Tools) -> RecordingFinished | None:
    """A recording of a killed process that reported none; ``None``: there is none.

    Raises ``StepFailed``, ``CarrierError``.
    """
    key = await asyncio.to_thread(_file_left, call, tools.places.folder)
    by_carrier = _by_carrier(call, tools, is_ours=bool(key))
    recording = await _at_carrier(call, tools) if by_carrier else ""
    if not key and not recording:
        return None
    return RecordingFinished(
        call_id=call.id,
        at=call.ended_at,
        key=key or key_of(call.id, call.started_at),
        format=FORMAT,
        channels=flac.CHANNELS,
        sample_rate=SAMPLE_RATE,
        duration=call.duration_seconds,
        pauses=(),
        state="kept",
        source="carrier" if by_carrier else "trunkline",
        carrier_recording=recording,
        carrier_call_id=call.carrier_call_id,
    )


def _file_left(call: FinishedCall, folder: Path) -> str:
    """The name of the file that a process left, finished or not; empty where there is none."""
    for key in keys_of(call.id, call.started_at):
        if (folder / key).exists() or flac.part_of(folder / key).exists():
            return key
    return ""


def _by_carrier(call: FinishedCall, tools: Tools, *, is_ours: bool) -> bool:
    """Whether the carrier was to record the call. Raises ``StepFailed`` where nobody knows."""
    if call.carrier != _CARRIER:
        return False
    if call.unread:
        if is_ours:
            return False
        raise StepFailed(f"whether the carrier recorded the call is not known: {call.unread}")
    policy, own = tools.settings.recordings, call.profile.recording
    enabled = policy.enabled if own.enabled is None else own.enabled
    return enabled and (own.by or policy.by) == "carrier"


async def _at_carrier(call: FinishedCall, tools: Tools) -> str:
    """The carrier's id of its recording; empty where it has none. Raises ``StepFailed``, ``CarrierError``."""
    if tools.places.carrier is None:
        raise StepFailed(
            "the carrier may have recorded the call, and the settings name no account there; "
            "set TRUNKLINE_TWILIO__ACCOUNT_SID and TRUNKLINE_TWILIO__AUTH_TOKEN"
        )
    return await tools.places.carrier.find(call.carrier_call_id)


async def _write(session: AsyncSession, stored: StoredRecording, source: str) -> None:
    """The row has the call's id: it may be there from the time of the call."""
    values = asdict(stored) | {"id": stored.call_id, "source": source, "pauses": [*stored.pauses]}
    statement = insert(Recording).values(values)
    kept = ("state", "store", "path", "format", "duration_seconds", "size_bytes", "sha256", "redacted")
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["id"], set_={name: statement.excluded[name] for name in kept}
        )
    )
