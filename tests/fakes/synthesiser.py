"""A synthesiser that hums."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator

import numpy as np

from app.engines.errors import EngineError
from app.engines.ports import SpeechChunk, Voice, VoiceSpec, WordMark
from telephony.media.frame import SAMPLE_RATE


class FakeSynthesiser:
    """0.05 s of a steady sound a character, in pieces of 0.1 s, with exact marks.

    ``delay``: seconds before each piece. ``fail_after``: pieces after which a phrase fails. ``phrases``,
    ``asked`` and ``running`` may be read.
    """

    name = "fake"

    def __init__(self, delay: float = 0.0, fail_after: int | None = None) -> None:
        self.delay = delay
        self.fail_after = fail_after
        self.phrases: list[str] = []
        self.asked: list[VoiceSpec] = []
        self.running = 0

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def voices(self) -> tuple[Voice, ...]:
        return (Voice("hum", "en-US", "neutral"),)

    async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        self.phrases.append(phrase)
        self.asked.append(voice)
        self.running += 1
        a_character, piece = SAMPLE_RATE // 20, SAMPLE_RATE // 10
        total = a_character * len(phrase.strip())
        marks = [WordMark(word.start(), word.start() * a_character) for word in re.finditer(r"\S+", phrase)]
        try:
            for number, begin in enumerate(range(0, total, piece)):
                await asyncio.sleep(self.delay)
                if number == self.fail_after:
                    raise EngineError(self.name, "told to fail")
                end = min(begin + piece, total)
                words = tuple(mark for mark in marks if begin <= mark.sample < end)
                yield SpeechChunk(np.full(end - begin, 1000, dtype=np.int16), words)
        finally:
            self.running -= 1
