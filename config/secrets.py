"""Secrets of a first start: made once, kept in the data directory with mode 600, shown once."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from config.settings import Settings

FILE = "secrets.json"  # in the data directory

_ACCOUNT, _TOKEN, _KEY = (
    "TRUNKLINE_TWILIO__ACCOUNT_SID",
    "TRUNKLINE_TWILIO__AUTH_TOKEN",
    "TRUNKLINE_ADMIN__API_KEY",
)
_MAKERS = {
    _ACCOUNT: lambda: "AC" + secrets.token_hex(16),
    _TOKEN: lambda: secrets.token_hex(16),
    _KEY: lambda: "tl_" + secrets.token_urlsafe(32),
}

SELF_CONTAINED = {"embedded", "bench"}
"""Profiles that need no account: a missing secret is made. Everywhere else it is an error."""


class SecretsError(Exception):
    """A secret is missing, or the file that keeps them cannot be used. The message says what to do."""


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What to show the operator, once. Empty on any later start."""

    shown: dict[str, str]


def read_secrets(settings: Settings) -> list[str]:
    """Fill the secrets that are not set from the data directory; returns the names of those still missing.

    Raises ``SecretsError``.
    """
    return _fill(settings, _read(settings.data_dir / FILE))


def complete_secrets(settings: Settings) -> FirstStart:
    """Fill the secrets that are not set: from the data directory, or in a self-contained profile anew.

    Of processes that start at once, one makes them. Raises ``SecretsError``.
    """
    missing = read_secrets(settings)
    if not missing:
        return FirstStart({})
    if settings.profile not in SELF_CONTAINED:
        raise SecretsError(
            f"{missing[0]} is not set; the profile {settings.profile!r} needs one that you set"
        )
    path = settings.data_dir / FILE
    try:
        with _alone_in(settings.data_dir):
            stored = _read(path)
            made = {name: _MAKERS[name]() for name in missing if name not in stored}
            if made:
                _write(path, stored | made)
    except OSError as error:
        raise SecretsError(
            f"{path} cannot be written ({error.strerror}); look at the rights and the space of "
            "TRUNKLINE_DATA_DIR"
        ) from None
    _fill(settings, stored | made)
    return FirstStart(made)


def _fill(settings: Settings, values: dict[str, str]) -> list[str]:
    """Fill what is not set; returns the names of what is still missing."""
    twilio, admin = settings.twilio, settings.admin
    twilio.account_sid = twilio.account_sid or values.get(_ACCOUNT, "")
    twilio.auth_token = twilio.auth_token or SecretStr(values.get(_TOKEN, ""))
    admin.api_key = admin.api_key or SecretStr(values.get(_KEY, ""))
    filled = {_ACCOUNT: twilio.account_sid, _TOKEN: twilio.auth_token, _KEY: admin.api_key}
    return [name for name, value in filled.items() if not value]


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from making secrets in a folder, which is made. Raises ``OSError``."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder / "secrets.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _read(path: Path) -> dict[str, str]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SecretsError(
            f"{path} cannot be read ({type(error).__name__}); restore it from a backup, or remove it to make "
            "new secrets"
        ) from None
    return {str(name): str(value) for name, value in data.items()}


def _write(path: Path, values: dict[str, str]) -> None:
    """Whole or not at all, of mode 600. Raises ``OSError``."""
    descriptor, temporary = tempfile.mkstemp(prefix=f"{path.stem}-", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(values, file, indent=2)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
