"""What a synthesiser keeps of a worker process that speaks: the phrases it was given and their answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

import numpy as np

from app.engines.errors import EngineError, EngineTimeout, RequestRefused
from app.engines.ports import SpeechChunk, VoiceSpec, WordMark
from app.engines.tts.speech_messages import (
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
from app.engines.worker import WorkerProcess

_RESTART_SECONDS = 2.0  # a phrase waits this long for a worker that is being restarted

_Answer = SpeechChunk | EngineError | None  # None: the phrase is complete


class SpeechWorker:
    """One worker process, which makes one phrase at a time.

    ``name_of`` gives the worker's name of a voice. ``voices``: what the worker said of its voices, if it did.
    A worker that owes an answer, if only to a cancellation, and says nothing for ``silent_seconds`` hangs and
    is replaced: whoever asks in a list gives up long before that.
    """

    def __init__(
        self,
        engine: str,
        module: str,
        arguments: Sequence[str],
        name_of: Callable[[VoiceSpec], str],
        silent_seconds: float,
    ) -> None:
        self.process = WorkerProcess(engine, module, arguments, self._on_message, self._on_lost)
        self.voices = b""
        self._engine, self._name_of, self._silent_seconds = engine, name_of, silent_seconds
        self._answers: dict[int, asyncio.Queue[_Answer]] = {}
        self._last_request = 0
        self._last_heard = 0.0
        self._watch: asyncio.TimerHandle | None = None  # while an answer is owed

    @property
    def load(self) -> int:
        """Phrases that the worker has not ended."""
        return len(self._answers)

    async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        """The phrase's audio as it is made; nothing for a phrase without a word. Raises ``EngineError``."""
        if not phrase.strip():
            return
        await self.process.until_ready(_RESTART_SECONDS)
        self._last_request = request = (self._last_request + 1) & 0xFFFFFFFF
        name = self._name_of(voice).encode()
        head = SPEAK_HEAD.pack(request, voice.rate, voice.pitch, len(name))
        answers: asyncio.Queue[_Answer] = asyncio.Queue()
        if not self._answers:
            self._last_heard = asyncio.get_running_loop().time()
            self._look_at(self._last_heard + self._silent_seconds)
        self._answers[request] = answers
        self.process.send(SPEAK, head + name + phrase.encode("utf-8", "replace"))
        try:
            while (answer := await answers.get()) is not None:
                if isinstance(answer, EngineError):
                    raise answer
                yield answer
        finally:
            if request in self._answers:
                self.process.send(CANCEL, REQUEST.pack(request))

    def _look_at(self, when: float) -> None:
        self._watch = asyncio.get_running_loop().call_at(when, self._look)

    def _look(self) -> None:
        """Replace the worker if it is silent for too long."""
        until = self._last_heard + self._silent_seconds
        if asyncio.get_running_loop().time() < until:
            self._look_at(until)
            return
        self._end_all(EngineTimeout(self._engine, f"nothing from its worker for {self._silent_seconds:g} s"))
        self.process.kill()

    def _on_message(self, kind: int, body: bytes) -> None:
        self._last_heard = asyncio.get_running_loop().time()
        if kind == VOICES:
            self.voices = body
            return
        (request,) = REQUEST.unpack_from(body)
        answers = self._answers.get(request)
        if answers is None:
            return  # of a worker that was given up
        if kind == AUDIO:
            answers.put_nowait(_chunk(body))
            return
        del self._answers[request]
        if not self._answers:
            self._unwatch()
        if kind == DONE:
            answers.put_nowait(None)
        elif kind == REFUSED:
            answers.put_nowait(RequestRefused(self._engine, body[REQUEST.size :].decode()))

    def _on_lost(self) -> None:
        self._end_all(EngineError(self._engine, "its worker process ended while it spoke"))

    def _end_all(self, error: EngineError) -> None:
        for answers in self._answers.values():
            answers.put_nowait(error)
        self._answers.clear()
        self._unwatch()

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None


def least_loaded(workers: Sequence[SpeechWorker]) -> SpeechWorker:
    """The worker that runs and has the fewest phrases."""
    return min(workers, key=lambda candidate: (not candidate.process.ready, candidate.load))


def _chunk(body: bytes) -> SpeechChunk:
    _, count = AUDIO_HEAD.unpack_from(body)
    audio_at = AUDIO_HEAD.size + count * WORD.size
    words = WORD.iter_unpack(body[AUDIO_HEAD.size : audio_at])
    return SpeechChunk(
        np.frombuffer(body, dtype=np.int16, offset=audio_at),
        tuple(WordMark(char, sample) for char, sample in words),
    )
