"""The ``apertium`` translator: Apertium's rules and dictionaries, for about 50 pairs of languages, offline.

Its programs (GPL-2 or later) run as processes of their own: ``apertium`` on this machine, 2 ms a phrase once
its dictionaries are loaded (0.15 s with the first), or an apertium-apy server. Rough but quick, without any
knowledge of earlier phrases or of a glossary.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from app.engines.mt.apertium_command import ApertiumCommand
from app.engines.mt.apertium_pipeline import NAME
from app.engines.mt.apertium_server import ApertiumServer
from app.engines.mt.apertium_text import iso_639_3
from app.engines.mt.phrase import clean, pieces
from app.engines.ports import TranslationRequest
from config.engines import ApertiumSettings

_PIECE_CHARACTERS = 500  # at most, of a text that is translated at once


class _Backend(Protocol):
    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def translate(self, piece: str, source: str, target: str) -> str: ...


class ApertiumTranslator:
    """Translates at the server of ``settings.url``, else with the programs on this machine."""

    name = NAME

    def __init__(self, settings: ApertiumSettings) -> None:
        self._backend: _Backend = ApertiumServer(settings.url) if settings.url else ApertiumCommand()

    async def start(self) -> None:
        """Find out which pairs there are. Raises ``EngineUnavailable``; the message says what to install."""
        await self._backend.start()

    async def close(self) -> None:
        """End all processes and connections; translations still running end with ``EngineError``."""
        await self._backend.close()

    async def translate(self, request: TranslationRequest) -> AsyncGenerator[str, None]:
        """The translation, a sentence or more at a time; words that Apertium does not know stay as they are.

        A text in the target language already comes back as it is. Raises ``RequestRefused`` (the pair
        is not installed), ``EngineTimeout``, other ``EngineError``.
        """
        same = iso_639_3(request.source) == iso_639_3(request.target)
        space = ""
        for piece in pieces(clean(request.text), _PIECE_CHARACTERS):
            if same:
                translated = piece
            else:
                translated = await self._backend.translate(piece, request.source, request.target)
            if translated:
                yield space + translated
                space = " "
