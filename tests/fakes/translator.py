"""A translator that says every word backwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from app.engines.errors import EngineError
from app.engines.ports import TranslationRequest


class FakeTranslator:
    """A piece a word: ``good day`` becomes ``doog``, `` yad``.

    ``delay``: seconds before each piece. ``fail_after``: pieces after which a phrase fails. ``requests`` and
    ``running`` may be read.
    """

    name = "fake"

    def __init__(self, delay: float = 0.0, fail_after: int | None = None) -> None:
        self.delay = delay
        self.fail_after = fail_after
        self.requests: list[TranslationRequest] = []
        self.running = 0

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def translate(self, request: TranslationRequest) -> AsyncGenerator[str, None]:
        self.requests.append(request)
        self.running += 1
        words = request.text.split() if any(char.isalnum() for char in request.text) else []
        try:
            for number, word in enumerate(words):
                await asyncio.sleep(self.delay)
                if number == self.fail_after:
                    raise EngineError(self.name, "told to fail")
                yield f" {word[::-1]}" if number else word[::-1]
        finally:
            self.running -= 1
