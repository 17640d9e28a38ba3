"""The ``piper`` synthesiser: neural voices, offline; piper-tts, GPL-3, in worker processes of its own.

A phrase is made sentence by sentence. Words are marked where the voice's model tells how long its phonemes
last, as Piper's own do. Cancelled, a worker gives up the sentence that it makes within 10 ms.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from importlib.util import find_spec
from pathlib import Path

from app.engines.errors import EngineError, EngineUnavailable
from app.engines.languages import root, tag
from app.engines.ports import SpeechChunk, Voice, VoiceSpec
from app.engines.tts.piper_files import NAME, VARIABLE, VoiceFiles, find_voice, list_voices
from app.engines.tts.speech_worker import SpeechWorker, least_loaded
from app.engines.tts.voice_names import no_voice
from app.engines.worker import start_all
from config.engines import PiperSettings

_WORKER = "app.engines.tts.piper_worker"
_SILENT_SECONDS = 15.0  # a worker makes at most one sentence in this time, or hangs
_MOST_THREADS = 4  # of a worker: more do not make a sentence faster


class PiperSynthesiser:
    """Speaks with the voices in ``models``, loaded as they are needed, ``settings.voice`` at the start.

    ``VoiceSpec.name``: one of ``voices``, ``VOICE`` or ``VOICE#SPEAKER``; without it ``settings.voice``, or
    another of the wanted language where that speaks a different one. Rates from 0.5 to 2. The model knows no
    pitch: from 0.8 to 1.25 it is taken faster or slower, which moves the voice's colour too.
    """

    name = NAME

    def __init__(self, settings: PiperSettings, models: Path) -> None:
        self._settings, self._models = settings, models
        self._workers: list[SpeechWorker] = []
        self._default: VoiceFiles | None = None
        self._files: dict[str, VoiceFiles] = {}

    @property
    def restarts(self) -> int:
        """Worker processes that ended by themselves."""
        return sum(worker.process.restarts for worker in self._workers)

    @property
    def pids(self) -> tuple[int, ...]:
        """The worker processes that run now."""
        return tuple(pid for worker in self._workers if (pid := worker.process.pid) is not None)

    async def start(self) -> None:
        """Start the workers with the voice of the settings. Raises ``EngineUnavailable``."""
        if self._workers:
            return
        if find_spec("piper") is None:
            raise EngineUnavailable(NAME, "its library piper-tts is not installed; run 'make engines'")
        default = await asyncio.to_thread(find_voice, self._settings.voice, self._models)
        self._default = default
        await self._look()
        count = self._settings.workers
        threads = max(1, min(_MOST_THREADS, (os.cpu_count() or 1) // count))
        arguments = (str(default.path), str(threads))
        workers = [
            SpeechWorker(NAME, _WORKER, arguments, self._name_of, _SILENT_SECONDS) for _ in range(count)
        ]
        try:
            await start_all([worker.process for worker in workers])
        except EngineUnavailable as error:
            raise EngineUnavailable(NAME, f"{str(error).partition(': ')[2]}; see {VARIABLE}") from None
        self._workers = workers

    async def close(self) -> None:
        """Stop the workers; phrases being spoken end with ``EngineError``."""
        workers, self._workers = self._workers, []
        for worker in workers:
            await worker.process.close()

    async def voices(self) -> tuple[Voice, ...]:
        """The voices in the folder of models now, the one of the settings first."""
        await self._look()
        return tuple(voice for files in self._files.values() for voice in files.voices())

    def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        """The phrase's audio, sentence by sentence; nothing for a phrase without a word."""
        if not self._workers:
            raise EngineError(NAME, "it is not started")
        return least_loaded(self._workers).speak(phrase, voice)

    async def _look(self) -> None:
        found = await asyncio.to_thread(list_voices, self._models)
        own = (self._default,) if self._default is not None else ()
        self._files = {files.name: files for files in (*own, *found)}

    def _name_of(self, voice: VoiceSpec) -> str:
        """The worker's name for a voice. Raises ``RequestRefused``."""
        name, _, speaker = voice.name.partition("#")
        files = self._files.get(name) if name else self._for_language(voice.language)
        if files is None:
            raise no_voice(NAME, voice.name)
        return f"{files.path}\n{speaker}"

    def _for_language(self, language: str) -> VoiceFiles | None:
        known = [*self._files.values()]
        exact = [files for files in known if tag(files.language) == tag(language)]
        close = [files for files in known if root(files.language) == root(language)]
        if self._default in close:
            return self._default
        return next(iter([*exact, *close]), self._default)
