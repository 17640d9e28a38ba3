"""Secrets of a first start: made once, kept in the data directory with mode 600, shown once."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from config.settings import Settings

SELF_CONTAINED = {"embedded", "bench"}
"""Profiles that need no account: a missing secret is made. Everywhere else it is an error."""


class SecretsError(Exception):
    """A secret is missing, or the file that keeps them cannot be used. The message says what to do."""


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What to show the operator, once. Empty on any later start."""

    shown: dict[str, str]


def complete_secrets(settings: Settings) -> FirstStart:
    """Fill the secrets that are not set: from the data directory, or in a self-contained profile anew.

    Raises ``SecretsError``.
    """
    path = settings.data_dir / "secrets.json"
    stored = _read(path)
    made: dict[str, str] = {}

    def fill(name: str, given: str, new: str) -> str:
        if given:
            return given
        if name in stored:
            return stored[name]
        if settings.profile not in SELF_CONTAINED:
            raise SecretsError(f"{name} is not set; the profile {settings.profile!r} needs one that you set")
        made[name] = new
        return new

    twilio, admin = settings.twilio, settings.admin
    twilio.account_sid = fill(
        "TRUNKLINE_TWILIO__ACCOUNT_SID", twilio.account_sid, "AC" + secrets.token_hex(16)
    )
    token = fill("TRUNKLINE_TWILIO__AUTH_TOKEN", twilio.auth_token.get_secret_value(), secrets.token_hex(16))
    key = fill(
        "TRUNKLINE_ADMIN__API_KEY", admin.api_key.get_secret_value(), "tl_" + secrets.token_urlsafe(32)
    )
    twilio.auth_token, admin.api_key = SecretStr(token), SecretStr(key)
    if made:
        _write(path, stored | made)
    return FirstStart(made)


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
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(values, file, indent=2)
    temporary.replace(path)
