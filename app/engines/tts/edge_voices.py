"""The voices of Microsoft Edge's speech service: its list, and which one speaks a language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from app.engines.errors import EngineError, RequestRefused
from app.engines.languages import root, tag
from app.engines.ports import Gender, Voice
from app.engines.tts.edge_messages import NAME

_GENDERS: dict[str, Gender] = {"Female": "female", "Male": "male"}
_NOT_FOR_CALLS = {"Cartoon"}

_KNOWN = (
    ("en-US", "en-US-EmmaMultilingualNeural"),
    ("en-GB", "en-GB-SoniaNeural"),
    ("en-AU", "en-AU-NatashaNeural"),
    ("es-ES", "es-ES-ElviraNeural"),
    ("es-MX", "es-MX-DaliaNeural"),
    ("fr-FR", "fr-FR-DeniseNeural"),
    ("fr-CA", "fr-CA-SylvieNeural"),
    ("de-DE", "de-DE-KatjaNeural"),
    ("it-IT", "it-IT-ElsaNeural"),
    ("pt-BR", "pt-BR-FranciscaNeural"),
    ("pt-PT", "pt-PT-RaquelNeural"),
    ("nl-NL", "nl-NL-ColetteNeural"),
    ("pl-PL", "pl-PL-ZofiaNeural"),
    ("ru-RU", "ru-RU-SvetlanaNeural"),
    ("uk-UA", "uk-UA-PolinaNeural"),
    ("tr-TR", "tr-TR-EmelNeural"),
    ("sv-SE", "sv-SE-SofieNeural"),
    ("ar-EG", "ar-EG-SalmaNeural"),
    ("hi-IN", "hi-IN-SwaraNeural"),
    ("zh-CN", "zh-CN-XiaoxiaoNeural"),
    ("ja-JP", "ja-JP-NanamiNeural"),
    ("ko-KR", "ko-KR-SunHiNeural"),
)
"""Languages and a woman's voice of each, for when the list cannot be had; from the list of 2024."""


@dataclass(frozen=True, slots=True)
class EdgeVoices:
    """Voices in the service's order; those of cartoons last, for they suit no call."""

    all: tuple[Voice, ...]

    def for_language(self, language: str) -> str:
        """The first voice of a language (BCP 47), or of its root. Raises ``RequestRefused``."""
        for matches in (tag(language).lower(), root(language)):
            for voice in self.all:
                if matches in {voice.language.lower(), root(voice.language)}:
                    return voice.name
        message = (
            f"it has no voice for {language!r}; name one for the agent or in TRUNKLINE_ENGINES__EDGE__VOICE"
        )
        raise RequestRefused(NAME, message)

    def has(self, name: str) -> bool:
        """Whether a voice of this name is listed."""
        return any(voice.name == name for voice in self.all)

    def gender(self, name: str) -> Gender:
        """Of the voice of this name, where it is known."""
        return next((voice.gender for voice in self.all if voice.name == name), "")


def read_voices(listed: bytes) -> EdgeVoices:
    """The voices of the service's list, JSON; 1 ms. Raises ``EngineError`` for what is none."""
    try:
        entries = orjson.loads(listed)
        voices = tuple(_voices(entries))
    except (LookupError, TypeError, ValueError, AttributeError):
        raise EngineError(
            NAME, "the list of voices cannot be read; see TRUNKLINE_ENGINES__EDGE__URL"
        ) from None
    return EdgeVoices(voices)


def known_voices() -> EdgeVoices:
    """A few voices that are known without the list."""
    return EdgeVoices(tuple(Voice(name, language, "female") for language, name in _KNOWN))


def _voices(entries: Sequence[dict[str, object]]) -> Iterator[Voice]:
    for unfit in (False, True):
        for entry in entries:
            if entry.get("Status") != "Deprecated" and _unfit(entry) is unfit:
                yield Voice(
                    str(entry["ShortName"]),
                    str(entry["Locale"]),
                    _GENDERS.get(str(entry.get("Gender")), ""),
                    str(entry.get("FriendlyName", "")),
                )


def _unfit(entry: dict[str, object]) -> bool:
    match entry.get("VoiceTag"):
        case {"ContentCategories": list(categories)}:
            return not _NOT_FOR_CALLS.isdisjoint(map(str, categories))
        case _:
            return False
