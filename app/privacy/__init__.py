"""Finding and removing personal data in the transcript of a call, and where it is in the recording."""

from __future__ import annotations

from app.privacy.find import EntityModel, find
from app.privacy.models import CallTurn, Finding, Kind, RedactedTurn, Side, Span
from app.privacy.redact import redact, redact_text

__all__ = [
    "CallTurn", "EntityModel", "Finding", "Kind", "RedactedTurn", "Side", "Span",
    "find", "redact", "redact_text",
]  # fmt: skip
