"""How a voice sounds, as a caller would hear it: a text as WAV. Bounded, so that calls do not wait for it."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager

import numpy as np

from app.engines.errors import EngineError, RequestRefused
from app.engines.fallback.synthesiser import FallbackSynthesiser
from app.engines.ports import SpeechChunk, Synthesiser, VoiceSpec
from app.errors import Conflict, Invalid, TooManyRequests, Unavailable
from app.voice.chunker import Chunker
from app.voice.profile import Phrasing
from app.voice.speakable import speakable
from app.voices.schemas import EngineVoice, EngineVoices, SilentEngine
from telephony.media.frame import SAMPLE_RATE, Samples

MOST_CHARACTERS = 300
MEDIA_TYPE = "audio/wav"

_PREVIEW_SECONDS = 20.0
_LIST_SECONDS = 8.0
_AGAIN_SECONDS = 2.0


class Previewer:
    """Speaks with the engines of this process, for ``at_once`` listeners and no more."""

    def __init__(self, synthesiser: FallbackSynthesiser, at_once: int = 2) -> None:
        self._synthesiser = synthesiser
        self._at_once = at_once
        self._busy = 0

    async def wav(self, text: str, voice: VoiceSpec, engine: str | None = None) -> bytes:
        """A WAV of 8 kHz, PCM16 mono. ``engine``: this one alone; ``None``: the first that does not refuse.

        Raises ``Invalid`` for an engine that this process has not, and for a text without a word;
        ``Conflict`` where no engine has what the voice names; ``TooManyRequests`` while others listen;
        ``Unavailable`` where the engine fails or is too slow.
        """
        phrases = list(_phrases(text, voice.language))
        if not phrases:
            raise Invalid("query.text", "holds nothing that can be spoken")
        chosen = None if engine is None else self._engine(engine)
        async with self._place():
            try:
                async with asyncio.timeout(_PREVIEW_SECONDS):
                    pieces = [
                        piece for phrase in phrases for piece in await self._speak(phrase, voice, chosen)
                    ]
            except TimeoutError:
                raise Unavailable(f"the voice took longer than {_PREVIEW_SECONDS:.0f} s; try again") from None
            except RequestRefused as error:
                raise Conflict(f"no engine speaks with this voice: {error}") from None
            except EngineError as error:
                raise Unavailable(f"the voice cannot be heard now: {error}") from None
        if not pieces:
            raise Unavailable("the voice made no sound of this text")
        return _wav(np.concatenate(pieces))

    async def available(self) -> EngineVoices:
        """The voices of every engine of this process. Raises ``TooManyRequests``."""
        voices: list[EngineVoice] = []
        silent: list[SilentEngine] = []
        async with self._place():
            for engine in self._engines():
                try:
                    async with asyncio.timeout(_LIST_SECONDS):
                        found = await engine.voices()
                except TimeoutError:
                    silent.append(SilentEngine(engine=engine.name, problem="did not answer in time"))
                except EngineError as error:
                    silent.append(SilentEngine(engine=engine.name, problem=str(error)))
                else:
                    voices += [
                        EngineVoice(
                            engine=engine.name,
                            name=voice.name,
                            language=voice.language,
                            gender=voice.gender,
                            title=voice.title,
                        )
                        for voice in found
                    ]
        return EngineVoices(voices=voices, silent=silent)

    async def _speak(self, phrase: str, voice: VoiceSpec, engine: Synthesiser | None) -> list[Samples]:
        if engine is None:
            return [chunk.samples for chunk in await self._synthesiser.whole(phrase, voice)]
        first = engine is self._engines()[0]
        chunks: list[SpeechChunk] = []
        async with aclosing(engine.speak(phrase, voice.of(engine.name, first=first))) as speech:
            async for chunk in speech:
                chunks.append(chunk)
        return [chunk.samples for chunk in chunks]

    def _engines(self) -> list[Synthesiser]:
        return [candidate.engine for candidate in self._synthesiser.roster.candidates]

    def _engine(self, name: str) -> Synthesiser:
        for engine in self._engines():
            if engine.name == name:
                return engine
        known = ", ".join(engine.name for engine in self._engines())
        raise Invalid("query.engine", f"must be an engine that speaks in this process: {known}")

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._busy >= self._at_once:
            raise TooManyRequests(
                f"{self._at_once} others listen to voices now; try again in a moment", _AGAIN_SECONDS
            )
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1


def _phrases(text: str, language: str) -> Iterator[str]:
    chunker = Chunker(Phrasing(), language)
    for phrase in chunker.feed(text) + chunker.finish():
        if spoken := speakable(phrase.text, language).text:
            yield spoken


def _wav(samples: Samples) -> bytes:
    with io.BytesIO() as made:
        with wave.open(made, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(samples.astype("<i2").tobytes())
        return made.getvalue()
