"""How personal data is said, one file a language. Pure."""

from __future__ import annotations

from app.engines.languages import root
from app.privacy.language.en import LANGUAGE as ENGLISH
from app.privacy.language.model import KINDS, Cue, Label, Language

__all__ = ["KINDS", "Cue", "Label", "Language", "language_of"]

_BY_TAG = {language.tag: language for language in (ENGLISH,)}


def language_of(tag: str | None) -> Language | None:
    """The language of a BCP 47 tag; ``None`` for one without a file: only written forms are known of it."""
    return _BY_TAG.get(root(tag)) if tag else None
