"""Forgetting the sound of a call: every copy of it, wherever it got to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from app.recordings import flac
from app.recordings.keys import keys_of
from app.recordings.ports import Places, Store
from app.recordings.stores import LocalFolder, StoreError
from telephony.errors import CarrierError


@dataclass(frozen=True, slots=True)
class Sound:
    """A call, and what the row of its recording says; empty where there is no row.

    ``path`` is the key. ``store`` is empty until the recording is in one. ``carrier_recording``: its id at
    the carrier, where it is known.
    """

    call_id: UUID
    started_at: datetime
    carrier_call_id: str = ""
    path: str = ""
    store: str = ""
    source: str = ""
    state: str = ""
    carrier_recording: str = ""


async def forget(sound: Sound, places: Places) -> None:
    """Delete the sound of a call that is over: from the folder, finished or not, its store, the carrier.

    Also where there is no row, by the names that the call's recording has then. What is gone is no error.
    Raises ``StoreError``: something stays; all of it can be done again.
    """
    for key in sorted({*keys_of(sound.call_id, sound.started_at), *filter(None, [sound.path])}):
        await asyncio.to_thread(_delete, places.folder / key)
        for store in _stores(sound, places):
            await store.delete(key)
    if sound.source == "carrier" and sound.state != "kept":  # a kept one was deleted there
        await _delete_at_carrier(sound, places)


def _delete(path: Path) -> None:
    try:
        flac.delete(path)
    except BlockingIOError:
        raise StoreError(f"the recording {path.name} is still being written; try again in a moment") from None
    except OSError as error:
        raise StoreError(
            f"the recording {path.name} cannot be deleted ({error.strerror}); check the rights of "
            "<TRUNKLINE_DATA_DIR>/recordings"
        ) from None


def _stores(sound: Sound, places: Places) -> Iterator[Store]:
    """The store of now, where the recording may have come meanwhile, and its own."""
    yield places.store
    if sound.store in {"", LocalFolder.name, places.store.name}:  # the folder is looked into anyhow
        return
    own = places.named(sound.store)
    if own is None:
        raise StoreError(
            f"the recording is in the store {sound.store!r}, which the settings do not name; "
            "set TRUNKLINE_RECORDINGS__S3__BUCKET and what belongs to it"
        )
    yield own


async def _delete_at_carrier(sound: Sound, places: Places) -> None:
    if places.carrier is None:
        raise StoreError(
            "the carrier may have a copy of the recording, and the settings name no account of the carrier; "
            "set TRUNKLINE_TWILIO__ACCOUNT_SID and TRUNKLINE_TWILIO__AUTH_TOKEN"
        )
    try:
        recording = sound.carrier_recording or await places.carrier.find(sound.carrier_call_id)
        if recording:
            await places.carrier.delete(recording)
    except CarrierError as error:
        raise StoreError(f"the carrier's copy of the recording cannot be deleted: {error}") from None
