"""What turn-taking knows of languages, one file a language: backchannels, pauses, ends of turns. Pure."""

from __future__ import annotations

from app.engines.languages import root
from app.voice.language.de import LANGUAGE as GERMAN
from app.voice.language.en import LANGUAGE as ENGLISH
from app.voice.language.es import LANGUAGE as SPANISH
from app.voice.language.fr import LANGUAGE as FRENCH
from app.voice.language.hi import LANGUAGE as HINDI
from app.voice.language.it import LANGUAGE as ITALIAN
from app.voice.language.ja import LANGUAGE as JAPANESE
from app.voice.language.model import Language, normalise
from app.voice.language.nl import LANGUAGE as DUTCH
from app.voice.language.pt import LANGUAGE as PORTUGUESE

__all__ = ["Language", "language_of", "normalise"]

_UNKNOWN = Language()
_KNOWN = (DUTCH, ENGLISH, FRENCH, GERMAN, HINDI, ITALIAN, JAPANESE, PORTUGUESE, SPANISH)
_BY_TAG = {language.tag: language for language in _KNOWN}


def language_of(tag: str) -> Language:
    """The language of a BCP 47 tag, whatever its region and script; an empty one for a language unknown."""
    return _BY_TAG.get(root(tag), _UNKNOWN)
