"""Names of recordings in a store. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

FORMAT = "flac"

_MOMENT = timedelta(minutes=1)

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


def key_of(call_id: UUID, started_at: datetime) -> str:
    """``2026/02/28/<call id>.flac``, by the day (UTC) on which the call began."""
    return f"{started_at.astimezone(UTC):%Y/%m/%d}/{call_id}.{FORMAT}"


def keys_of(call_id: UUID, started_at: datetime) -> list[str]:
    """The names that a call's recording may have: it is begun a moment before the call, and so perhaps on the
    day before."""
    before = key_of(call_id, started_at - _MOMENT)
    return sorted({before, key_of(call_id, started_at)})


def is_key(key: str) -> bool:
    """Whether this may name something in a store: plain names, none of which leads out of it."""
    return len(key) <= 1000 and _KEY.fullmatch(key) is not None
