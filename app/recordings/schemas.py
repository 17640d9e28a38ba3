"""Recordings as the admin API shows them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class RecordingDetail(BaseModel):
    """The sound of a call, the caller in the left channel and the agent in the right one.

    ``state``: recorded (on its way into the store), kept (there), failed, erased. ``source``: who recorded,
    trunkline or carrier. ``pauses``: spans of silence that were asked for, in seconds, from and to.
    ``redacted``: what was personal in it is silent. ``started_at`` is the call's.
    """

    model_config = ConfigDict(from_attributes=True, frozen=True)

    id: UUID
    call_id: UUID
    started_at: datetime
    state: str
    source: str
    format: str
    channels: int
    sample_rate: int
    duration_seconds: float | None
    size_bytes: int | None
    sha256: str | None
    pauses: list[tuple[float, float]]
    redacted: bool
    created_at: datetime
