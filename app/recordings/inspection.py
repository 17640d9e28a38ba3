"""What a recording's file is: its size, digest and length. Everything here blocks; call it in a thread."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from app.recordings import flac
from telephony.media.frame import SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class FileFacts:
    """``seconds`` is ``None`` for a file without audio that can be read; ``sha256`` is in hexadecimal."""

    size_bytes: int
    sha256: str
    seconds: float | None


def inspect(path: Path) -> FileFacts:
    """Reads the whole file, a part at a time. Raises ``OSError``."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        seconds: float | None = flac.length(path) / SAMPLE_RATE
    except flac.NotAudio:
        seconds = None
    return FileFacts(path.stat().st_size, digest, seconds)
