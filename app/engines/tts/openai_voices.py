"""The voices of servers of OpenAI's speech: what a server lists, and OpenAI's own, which no list gives."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from app.engines.languages import MULTIPLE, tag
from app.engines.ports import Gender, Voice

_KOKORO = re.compile(r"([abefhijpz])([fm])_\w+")
_KOKORO_LANGUAGES = {
    "a": "en-US", "b": "en-GB", "e": "es", "f": "fr-FR", "h": "hi", "i": "it", "j": "ja", "p": "pt-BR",
    "z": "zh",
}  # fmt: skip
_MOST = 5000

_OWN: tuple[tuple[str, Gender], ...] = (
    ("alloy", "neutral"), ("ash", "male"), ("ballad", "male"), ("cedar", "male"), ("coral", "female"),
    ("echo", "male"), ("fable", "neutral"), ("marin", "female"), ("nova", "female"), ("onyx", "male"),
    ("sage", "female"), ("shimmer", "female"), ("verse", "male"),
)  # fmt: skip
OPENAI_VOICES = tuple(Voice(name, MULTIPLE, gender) for name, gender in _OWN)
"""The voices that OpenAI documents, which speak any language."""


def listed_voices(body: bytes) -> tuple[Voice, ...]:
    """The voices in an answer to ``GET /audio/voices``: names, or objects. None where it lists none."""
    try:
        answer: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    if isinstance(answer, dict):
        answer = answer.get("voices", answer.get("data"))
    found = _voices(answer[:_MOST]) if isinstance(answer, list) else ()
    return tuple({voice.name: voice for voice in found}.values())  # speaches: once for each model


def _voices(entries: list[Any]) -> Iterator[Voice]:
    for entry in entries:
        match entry:
            case str() as name if name:
                yield _voice(name, "", "", "")
            case {"id": str() as name} | {"name": str() as name} | {"voice_id": str() as name} if name:
                yield _voice(name, entry.get("language"), entry.get("gender"), entry.get("name"))
            case _:
                pass


def _voice(name: str, language: Any, gender: Any, title: Any) -> Voice:
    kokoro = _KOKORO.fullmatch(name)
    known: Gender = ""
    if gender in {"female", "male", "neutral"}:
        known = gender
    elif kokoro is not None:
        known = "female" if kokoro[2] == "f" else "male"
    told = tag(language) if isinstance(language, str) else ""
    if not told and kokoro is not None:
        told = _KOKORO_LANGUAGES[kokoro[1]]
    return Voice(name, told or MULTIPLE, known, title if isinstance(title, str) and title != name else "")
