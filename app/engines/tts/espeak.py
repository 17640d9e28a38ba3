"""The ``espeak`` synthesiser: espeak-ng, GPL-3, in worker processes of its own.

First audio after 0.6 ms (5 ms with a new voice), 2.3 ms of the worker's time a second of speech. A worker
makes one phrase at a time; a cancelled one stops within a piece of 60 ms, which takes 0.1 ms to make.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import numpy as np

from app.engines.errors import EngineError, EngineTimeout
from app.engines.ports import SpeechChunk, VoiceSpec, WordMark
from app.engines.tts.espeak_messages import (
    AUDIO,
    AUDIO_HEAD,
    CANCEL,
    DONE,
    REFUSED,
    REQUEST,
    SPEAK,
    SPEAK_HEAD,
    VOICES,
    WORD,
)
from app.engines.worker import WorkerProcess, start_all

_WORKER = "app.engines.tts.espeak_worker"
_ANSWER_SECONDS = 5.0  # without any audio: the worker hangs and is replaced
_RESTART_SECONDS = 2.0  # a phrase waits this long for a worker that is being restarted

_Answer = SpeechChunk | EngineError | None  # None: the phrase is complete


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice: its name for ``VoiceSpec``, which is its language, and a title."""

    name: str
    title: str


class EspeakSynthesiser:
    """Speaks with espeak-ng. ``VoiceSpec.name``: one of ``voices``, or with a variant: ``en-us+f3``."""

    name = "espeak"

    def __init__(self, workers: int = 1) -> None:
        self._workers = [_Worker() for _ in range(workers)]

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The voices; empty before ``start``."""
        return self._workers[0].voices

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

    async def close(self) -> None:
        """Stop the workers; phrases being spoken end with ``EngineError``."""
        for worker in self._workers:
            await worker.process.close()

    def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        """The phrase's audio; nothing for a phrase without a word. Sentences end with a short pause."""
        worker = min(self._workers, key=lambda candidate: (not candidate.process.ready, candidate.load))
        return worker.speak(phrase, voice)

    def voice_for(self, voice: VoiceSpec) -> str:
        """The library's name for a voice: its own, or the one of its language or of the language's root."""
        return _voice_name(voice, self.voices)


class _Worker:
    """One worker process and the phrases it was given."""

    def __init__(self) -> None:
        self.process = WorkerProcess("espeak", _WORKER, (), self._on_message, self._on_lost)
        self.voices: tuple[Voice, ...] = ()
        self._answers: dict[int, asyncio.Queue[_Answer]] = {}
        self._last_request = 0

    @property
    def load(self) -> int:
        """Phrases that are not complete."""
        return len(self._answers)

    async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        if not phrase.strip():
            return
        await self.process.until_ready(_RESTART_SECONDS)
        self._last_request = request = (self._last_request + 1) & 0xFFFFFFFF
        answers: asyncio.Queue[_Answer] = asyncio.Queue()
        self._answers[request] = answers
        name = _voice_name(voice, self.voices).encode()
        head = SPEAK_HEAD.pack(request, voice.rate, voice.pitch, len(name))
        self.process.send(SPEAK, head + name + phrase.encode("utf-8", "replace"))
        try:
            while (answer := await self._next(answers)) is not None:
                if isinstance(answer, EngineError):
                    raise answer
                yield answer
        finally:
            if self._answers.pop(request, None) is not None:
                self.process.send(CANCEL, REQUEST.pack(request))

    async def _next(self, answers: asyncio.Queue[_Answer]) -> _Answer:
        if not answers.empty():
            return answers.get_nowait()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await answers.get()
        except TimeoutError:
            self.process.kill()
            raise EngineTimeout("espeak", f"no audio for {_ANSWER_SECONDS:.0f} s") from None

    def _on_message(self, kind: int, body: bytes) -> None:
        if kind == VOICES:
            self.voices = tuple(Voice(name, title) for name, title in json.loads(body))
            return
        (request,) = REQUEST.unpack_from(body)
        answers = self._answers.get(request)
        if answers is None:
            return  # cancelled meanwhile
        if kind == AUDIO:
            answers.put_nowait(_chunk(body))
            return
        del self._answers[request]
        if kind == DONE:
            answers.put_nowait(None)
        elif kind == REFUSED:
            answers.put_nowait(EngineError("espeak", body[REQUEST.size :].decode(), retryable=False))

    def _on_lost(self) -> None:
        for answers in self._answers.values():
            answers.put_nowait(EngineError("espeak", "its worker process ended while it spoke"))
        self._answers.clear()


def _chunk(body: bytes) -> SpeechChunk:
    _, count = AUDIO_HEAD.unpack_from(body)
    audio_at = AUDIO_HEAD.size + count * WORD.size
    words = WORD.iter_unpack(body[AUDIO_HEAD.size : audio_at])
    return SpeechChunk(
        np.frombuffer(body, dtype=np.int16, offset=audio_at),
        tuple(WordMark(char, sample) for char, sample in words),
    )


def _voice_name(voice: VoiceSpec, known: tuple[Voice, ...]) -> str:
    if voice.name:
        return voice.name
    language = voice.language.lower()
    names = {entry.name for entry in known}
    return language if language in names or not names else language.split("-", maxsplit=1)[0]
