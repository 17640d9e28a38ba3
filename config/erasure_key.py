"""The key of the hash by which an erased number is known: from the settings, or made once and kept."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from config.settings import Settings

_BYTES = 32


def erasure_key(settings: Settings) -> bytes:
    """The key. Blocks. Raises ``OSError`` where it is to be kept and cannot."""
    given = settings.retention.hash_key.get_secret_value()
    if given:
        return given.encode()
    path = settings.data_dir / "erasure.key"
    if not path.exists():
        _keep(path, secrets.token_bytes(_BYTES))
    return path.read_bytes()


def _keep(path: Path, key: bytes) -> None:
    """Write it, unless another process was faster; then that one's counts."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
