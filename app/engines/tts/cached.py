"""A synthesiser that keeps the audio of phrases known beforehand and gives it at once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import structlog

from app.engines.errors import EngineError
from app.engines.ports import SpeechChunk, Synthesiser, Voice, VoiceSpec
from app.metrics import PHRASES_NOT_PREPARED

log = structlog.get_logger(__name__)

MOST_BYTES = 32 * 1024 * 1024
"""Audio that is kept: 35 minutes."""

AGAIN_SECONDS = 60.0
"""After which what could not be prepared is tried again."""

Make: TypeAlias = Callable[[str, VoiceSpec], Awaitable[tuple[SpeechChunk, ...]]]
"""Makes all of a phrase's audio. Raises ``EngineError``."""

_AT_ONCE = 4  # phrases that are made side by side
_Key: TypeAlias = tuple[str, VoiceSpec]


class CachedSynthesiser:
    """Speaks prepared phrases from memory, and any other with the synthesiser that it was given.

    ``kept_bytes``: audio in memory, of at most ``most_bytes``; what was not used for longest goes first.
    """

    def __init__(self, synthesiser: Synthesiser, most_bytes: int = MOST_BYTES) -> None:
        self.kept_bytes = 0
        self._synthesiser = synthesiser
        self._most_bytes = most_bytes
        self._kept: OrderedDict[_Key, tuple[SpeechChunk, ...]] = OrderedDict()
        self._owed: dict[_Key, Make] = {}  # to be prepared, not yet made

    @property
    def name(self) -> str:
        """The name of the synthesiser that makes the audio."""
        return self._synthesiser.name

    async def start(self) -> None:
        """Start the synthesiser. Raises ``EngineUnavailable``."""
        await self._synthesiser.start()

    async def close(self) -> None:
        """Close the synthesiser and drop what is kept."""
        self._owed.clear()
        self._kept.clear()
        self.kept_bytes = 0
        await self._synthesiser.close()

    async def voices(self) -> Sequence[Voice]:
        """The synthesiser's voices. Raises ``EngineError``."""
        return await self._synthesiser.voices()

    async def prepare(self, phrases: Iterable[str], voice: VoiceSpec, make: Make | None = None) -> None:
        """Make and keep the audio of the phrases: with ``make``, or else as the synthesiser speaks them.

        It is kept for as long as the process runs: where the synthesiser has several voices, ``make`` should
        give what only the best one says. A phrase that fails is logged, counted, and made by ``watch``.
        """
        wanted = dict.fromkeys((phrase, voice) for phrase in phrases)
        missing = [key for key in wanted if key not in self._kept]
        self._owed |= dict.fromkeys(missing, make or self._spoken)
        waiting = iter(missing)
        async with asyncio.TaskGroup() as making:
            for _ in range(_AT_ONCE):
                making.create_task(self._make_each(waiting))

    async def watch(self) -> None:
        """Try again what could not be prepared and may succeed later, until cancelled.

        One phrase after another, up to the first that fails: an engine in trouble is not asked for more.
        """
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            for key in tuple(self._owed):
                if not await self._make(key):
                    break

    def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        """The phrase's audio: all of it at once where it was prepared. Raises ``EngineError``."""
        return self.kept(phrase, voice) or self._synthesiser.speak(phrase, voice)

    def kept(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None] | None:
        """The phrase's audio where it was prepared."""
        kept = self._kept.get((phrase, voice))
        if kept is None:
            return None
        self._kept.move_to_end((phrase, voice))
        return _again(kept)

    def speaking_with(self, synthesiser: Synthesiser) -> SharingSynthesiser:
        """What is kept here, and any other phrase by another synthesiser: one call's."""
        return SharingSynthesiser(self, synthesiser)

    async def _make_each(self, keys: Iterator[_Key]) -> None:
        for key in keys:
            if not await self._make(key):
                PHRASES_NOT_PREPARED.inc()

    async def _make(self, key: _Key) -> bool:
        """Whether the audio of a phrase that is owed could be made; if not, it is tried after the others."""
        if (make := self._owed.pop(key, None)) is None:
            return True  # it is being made
        try:
            chunks = await make(*key)
        except EngineError as error:
            log.warning("phrase not prepared", engine=self.name, characters=len(key[0]), error=str(error))
            if error.retryable:
                self._owed[key] = make
            return False
        self._keep(key, chunks)
        return True

    async def _spoken(self, phrase: str, voice: VoiceSpec) -> tuple[SpeechChunk, ...]:
        return tuple([chunk async for chunk in self._synthesiser.speak(phrase, voice)])

    def _keep(self, key: _Key, chunks: tuple[SpeechChunk, ...]) -> None:
        size = _bytes(chunks)
        if key in self._kept or size == 0 or size > self._most_bytes:
            return
        self._kept[key] = chunks
        self.kept_bytes += size
        while self.kept_bytes > self._most_bytes:
            _, dropped = self._kept.popitem(last=False)
            self.kept_bytes -= _bytes(dropped)


class SharingSynthesiser:
    """Speaks what ``cache`` keeps, and any other phrase with a synthesiser of its own."""

    def __init__(self, cache: CachedSynthesiser, synthesiser: Synthesiser) -> None:
        self._cache, self._synthesiser = cache, synthesiser

    @property
    def name(self) -> str:
        """The name of its own synthesiser."""
        return self._synthesiser.name

    async def start(self) -> None:
        """Start its own synthesiser. Raises ``EngineUnavailable``."""
        await self._synthesiser.start()

    async def close(self) -> None:
        """Close its own synthesiser."""
        await self._synthesiser.close()

    async def voices(self) -> Sequence[Voice]:
        """The voices of its own synthesiser. Raises ``EngineError``."""
        return await self._synthesiser.voices()

    def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        """The phrase's audio. Raises ``EngineError``."""
        return self._cache.kept(phrase, voice) or self._synthesiser.speak(phrase, voice)


async def _again(chunks: tuple[SpeechChunk, ...]) -> AsyncGenerator[SpeechChunk, None]:
    for chunk in chunks:
        yield chunk


def _bytes(chunks: tuple[SpeechChunk, ...]) -> int:
    return sum(chunk.samples.nbytes for chunk in chunks)
