"""The ``llm`` translator: any language model, told to interpret a telephone call.

What it is told is in ``config/prompts/interpreter.yaml``. It knows what was said before and keeps to a
glossary; how well it translates, and how fast, is the model's affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import yaml
from babel import Locale

from app.engines.errors import EngineError, EngineUnavailable, RequestRefused
from app.engines.languages import root
from app.engines.mt.answer import SpokenAnswer
from app.engines.mt.phrase import clean, pieces
from app.engines.ports import (
    LanguageModel,
    Message,
    Refusal,
    ReplyRequest,
    TextDelta,
    Translated,
    TranslationRequest,
)
from config.settings import ROOT

INSTRUCTIONS = ROOT / "prompts" / "interpreter.yaml"
_NAME = "llm"
_PIECE_CHARACTERS = 240  # at most, of a text that is translated at once: its translation is no longest reply
_EARLIER_PHRASES = 6
_LANGUAGES = {"source", "target"}
_FILLED = {
    "instructions": _LANGUAGES,
    "glossary": {*_LANGUAGES, "terms"},
    "earlier": {*_LANGUAGES, "talk"},
    "phrase": {*_LANGUAGES, "phrase"},
}
"""The parts of the file, and what is put into them."""


@dataclass(frozen=True, slots=True)
class _Instructions:
    """The parts of the file."""

    instructions: str
    glossary: str
    earlier: str
    phrase: str


class LlmTranslator:
    """Translates with ``model``, which is started and closed by whoever made it."""

    name = _NAME

    def __init__(self, model: LanguageModel, instructions: Path = INSTRUCTIONS) -> None:
        self._model = model
        self._path = instructions
        self._parts: _Instructions | None = None

    async def start(self) -> None:
        """Read the instructions. Raises ``EngineUnavailable`` when they cannot be used."""
        self._parts = await asyncio.to_thread(_read, self._path)

    async def close(self) -> None:
        """Nothing to free: a translation still running is the model's."""

    async def translate(self, request: TranslationRequest) -> AsyncGenerator[str, None]:
        """The translation as the model makes it, without labels and quotation marks around it.

        Raises ``RequestRefused`` when the model refuses; other ``EngineError``: the model's own, or because
        it says nothing. The model's calls of tools are nothing to it.
        """
        if self._parts is None:
            raise EngineError(_NAME, "it was not started")
        earlier = request.earlier
        space = ""
        for piece in pieces(clean(request.text), _PIECE_CHARACTERS):
            said: list[str] = []
            async with aclosing(self._piece(self._parts, request, piece, earlier)) as translation:
                async for text in translation:
                    yield space + text
                    said.append(text)
                    space = ""
            space = " "
            earlier = (*earlier, Translated(piece, "".join(said)))

    async def _piece(
        self, parts: _Instructions, request: TranslationRequest, piece: str, earlier: tuple[Translated, ...]
    ) -> AsyncGenerator[str, None]:
        messages = _messages(parts, request, piece, earlier[-_EARLIER_PHRASES:])
        answer = SpokenAnswer(piece, language_name(request.target).split(" (", maxsplit=1)[0])
        spoke = False
        async with aclosing(self._model.reply(ReplyRequest(messages))) as reply:
            async for delta in reply:
                if isinstance(delta, Refusal):
                    raise RequestRefused(_NAME, "the model refuses to translate", retryable=True)
                text = answer.feed(delta.text) if isinstance(delta, TextDelta) else ""
                if text:
                    spoke = True
                    yield text
                if answer.complete:
                    break
        if rest := answer.finish():
            yield rest
        elif not spoke:
            raise EngineError(_NAME, "the model gave no translation")


def language_name(tag: str) -> str:
    """A BCP 47 language in English, such as ``Spanish (Mexico)``; the tag where it has no name."""
    _, *rest = tag.replace("_", "-").split("-")
    names: Any = Locale("en")
    name = names.languages.get(root(tag))
    if name is None:
        return tag
    places = [names.territories.get(part.upper()) for part in rest] + [
        names.scripts.get(part.title()) for part in rest
    ]
    known = ", ".join(place for place in places if place)
    return f"{name} ({known})" if known else str(name)


def _messages(
    parts: _Instructions, request: TranslationRequest, piece: str, earlier: tuple[Translated, ...]
) -> tuple[Message, ...]:
    languages = {"source": language_name(request.source), "target": language_name(request.target)}
    terms = "\n".join(f"{clean(term)} = {clean(meaning)}" for term, meaning in request.glossary)
    talk = "\n".join(f"{clean(said.text)} = {clean(said.translation)}" for said in earlier)
    told = [Template(parts.instructions).substitute(languages)]
    if terms:
        told.append(Template(parts.glossary).substitute(languages, terms=terms))
    if talk:
        told.append(Template(parts.earlier).substitute(languages, talk=talk))
    asked = Template(parts.phrase).substitute(languages, phrase=piece)
    return Message("system", "\n".join(told).strip()), Message("user", asked.strip())


def _read(path: Path) -> _Instructions:
    """Raises ``EngineUnavailable`` for a file that is missing or is not as it should be."""
    language_name("en-US")  # loads the names, 20 ms, now
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        parts = {name: content[name] for name in _FILLED}
        if all(_usable(Template(part), _FILLED[name]) for name, part in parts.items()):
            return _Instructions(**parts)
    except OSError as error:
        raise EngineUnavailable(_NAME, f"{path} cannot be read ({error.strerror}); restore it") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        pass  # answered below, as for what is YAML and yet no instructions
    raise EngineUnavailable(
        _NAME,
        f"{path} cannot be used: it must have the parts {', '.join(_FILLED)}, and in each of them only the "
        "names after a dollar sign that its first lines explain; correct it",
    )


def _usable(part: Template, names: set[str]) -> bool:
    return part.is_valid() and names.issuperset(part.get_identifiers())
