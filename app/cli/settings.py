"""Settings for a command: read once, secrets filled, an invalid one explained."""

from __future__ import annotations

import sys

from pydantic import ValidationError

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
        sys.exit("\n".join(["trunkline: these settings are wrong (see config/example.env):", *lines]))


def start_settings(level: str | None = None) -> tuple[Settings, FirstStart]:
    """Settings with their secrets, and logging set up. Raises ``SecretsError``."""
    settings = read_settings()
    configure_logging(level or settings.log_level, as_json=settings.log_json)
    return settings, complete_secrets(settings)
