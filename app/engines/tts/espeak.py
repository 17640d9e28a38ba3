"""The ``espeak`` synthesiser: espeak-ng, GPL-3, in worker processes of its own.

First audio after 0.6 ms (5 ms with a new voice), 2.3 ms of the worker's time a second of speech. A worker
makes one phrase at a time; a cancelled one stops within a piece of 60 ms, which takes 0.1 ms to make.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

from app.engines.languages import root, tag
from app.engines.ports import Gender, SpeechChunk, Voice, VoiceSpec
from app.engines.tts.speech_worker import SpeechWorker, least_loaded
from app.engines.worker import start_all

_WORKER = "app.engines.tts.espeak_worker"
_SILENT_SECONDS = 5.0

_VARIANTS: tuple[tuple[str, Gender], ...] = (("", "male"), ("+f3", "female"))


class EspeakSynthesiser:
    """Speaks with espeak-ng. ``VoiceSpec.name``: one of ``voices``, or with another variant: ``en-us+f1``."""

    name = "espeak"

    def __init__(self, workers: int = 1) -> None:
        self._workers = [
            SpeechWorker("espeak", _WORKER, (), self.voice_for, _SILENT_SECONDS) for _ in range(workers)
        ]
        self._languages: tuple[tuple[str, str], ...] = ()  # code and title

    @property
    def restarts(self) -> int:
        """Worker processes that ended by themselves."""
        return sum(worker.process.restarts for worker in self._workers)

    @property
    def pids(self) -> tuple[int, ...]:
        """The worker processes that run now."""
        return tuple(pid for worker in self._workers if (pid := worker.process.pid) is not None)

    async def start(self) -> None:
        """Start the workers. Raises ``EngineUnavailable``."""
        await start_all([worker.process for worker in self._workers])
        self._languages = tuple((code, title) for code, title in json.loads(self._workers[0].voices))

    async def close(self) -> None:
        """Stop the workers; phrases being spoken end with ``EngineError``."""
        for worker in self._workers:
            await worker.process.close()

    async def voices(self) -> tuple[Voice, ...]:
        """A voice of a man and one of a woman for every language; none before ``start``."""
        return tuple(
            Voice(f"{language}{variant}", language, gender, title)
            for language, title in self._languages
            for variant, gender in _VARIANTS
        )

    def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        """The phrase's audio; nothing for a phrase without a word. Sentences end with a short pause."""
        return least_loaded(self._workers).speak(phrase, voice)

    def voice_for(self, voice: VoiceSpec) -> str:
        """The library's name for a voice: its own, or the one of its language or of the language's root."""
        if voice.name:
            return voice.name
        language = tag(voice.language).lower()
        names = {code for code, _ in self._languages}
        return language if language in names or not names else root(language)
