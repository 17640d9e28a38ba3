"""Settings for a command: read once, secrets filled, an invalid one explained."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from config.logging import configure_logging
from config.secrets import FirstStart, complete_secrets
from config.settings import Settings


def read_settings(profile: str = "") -> Settings:
    """The settings of this process, or of a profile; ends it with a clear message when one is invalid."""
    try:
        return Settings(profile=profile) if profile else Settings()
    except ValidationError as error:
        lines = [
            f"  TRUNKLINE_{'__'.join(str(part).upper() for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        ]
    except SettingsError:
        lines = [
            f"  {name}: is no JSON"
            for name in _json_variables(Settings, "TRUNKLINE_")
            if not _is_json(os.environ.get(name, "null"))
        ]
    sys.exit("\n".join(["trunkline: these settings are wrong (see config/example.env):", *lines]))


def _json_variables(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """The environment's variables that hold JSON: those of several values."""
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield from _json_variables(type(default), f"{prefix}{name.upper()}__")
        elif isinstance(default, dict | tuple):
            yield f"{prefix}{name.upper()}"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def start_settings(level: str | None = None) -> tuple[Settings, FirstStart]:
    """Settings with their secrets, and logging set up. Raises ``SecretsError``."""
    settings = read_settings()
    configure_logging(level or settings.log_level, as_json=settings.log_json)
    return settings, complete_secrets(settings)
