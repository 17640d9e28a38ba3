"""What recordings ask of others, and what the conversation may do with one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.recordings.blocks import Block


class BlockSink(Protocol):
    """Where one recording's blocks go. Nothing of it blocks or raises."""

    @property
    def failed(self) -> bool:
        """Something of the recording is lost."""

    def write(self, block: Block) -> None:
        """Append a block, which begins where the last one ended."""

    def close(self) -> None:
        """Nothing more comes: complete it."""

    def discard(self) -> None:
        """Delete what was written; nothing more comes."""

    def fail(self, reason: str) -> None:
        """Something is lost; ``reason`` is one of a small fixed set. Counted once a recording."""


class Store(Protocol):
    """Where recordings are kept. Keys are paths of plain names, ``2026/02/28/<call id>.flac``.

    Methods raise ``StoreError`` where the store fails, and ``NotStored`` where it has no such key.
    """

    @property
    def name(self) -> str:
        """``local`` or ``s3``."""

    async def put(self, path: Path, key: str) -> None:
        """Store a file's content, or replace what was stored: all of it or nothing. The file stays."""

    async def size(self, key: str) -> int:
        """Bytes stored."""

    def stream(self, key: str, begin: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``begin`` to ``end``, the last one excluded, in parts of at most 1 MiB."""

    async def delete(self, key: str) -> None:
        """Forget a key; one that is not stored is no error."""


class CarrierRecordings(Protocol):
    """Recordings that the carrier makes of a call. Ids are the carrier's. Raises ``CarrierError``."""

    async def start(self, carrier_call_id: str) -> str:
        """Record both channels of a live call; returns the recording's id."""

    async def pause(self, carrier_call_id: str, recording: str) -> None:
        """Record silence for now."""

    async def resume(self, carrier_call_id: str, recording: str) -> None:
        """Record again."""

    async def stop(self, carrier_call_id: str, recording: str) -> None:
        """Record no more. A call that has ended is no error."""

    async def find(self, carrier_call_id: str) -> str:
        """The id of the call's recording; empty when there is none."""

    async def fetch(self, recording: str, path: Path, most_bytes: int) -> None:
        """Write the finished recording to a file as PCM16 WAV, both channels."""

    async def delete(self, recording: str) -> None:
        """Delete it at the carrier; one that is gone is no error."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where recordings come from and go to. ``folder``: where processes that answer calls write.

    ``others``: stores that the settings name besides ``store``, where recordings of an earlier time may be.
    """

    folder: Path
    store: Store
    carrier: CarrierRecordings | None = None
    others: tuple[Store, ...] = ()

    def named(self, store: str) -> Store | None:
        """The store of this name; ``None`` where the settings name none."""
        return next((each for each in (self.store, *self.others) if each.name == store), None)
