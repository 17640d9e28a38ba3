"""The ``openai_compatible`` recogniser: any server of ``/audio/transcriptions`` (OpenAI, speaches, vLLM).

A segment is sent once it is finished, as WAV of the line's own 8 kHz: half the bytes of 16 kHz on the way
up and nothing to compute here; these servers read the rate in the header. Answers that stream give interims
after that, not while the caller speaks. The API takes no audio by and by, and asking again and again about
a segment that grows would charge for all of it each time, for interims that come when it is mostly over.

Whisper decodes 30 s at once, so that streaming gains nothing: such models (``whisper`` in the name) are
asked for ``verbose_json``, which tells a confidence. Others are asked to stream, OpenAI's own ones for
``logprobs`` too. A server that refuses what it was asked beyond the plain request is asked no more for it.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from functools import partial

import numpy as np

from app.engines.errors import EngineError
from app.engines.languages import root
from app.engines.openai_client import ServerRefusal, speech_endpoint
from app.engines.openai_speech import SpeechServer
from app.engines.ports import EMPTY, Expectation, RecognitionHints, Transcript
from app.engines.stt.openai_answer import BadAnswerError, TranscriptionAnswer
from app.engines.stt.segments import Segment, Segments
from app.metrics import AUDIO_DROPPED
from config.engines import EngineSettings
from telephony.media.frame import SAMPLE_RATE, Samples

_NAME = "openai_compatible"
_PATH = "/audio/transcriptions"
_AT_ONCE = 100  # requests under way; more wait
_LEAST_SAMPLES = SAMPLE_RATE // 10  # OpenAI refuses less; no word is so short
_MOST_SAMPLES = 300 * SAMPLE_RATE  # of a segment; more is dropped
_PROMPT_CHARACTERS = 600  # Whisper takes 224 tokens
_SEPARATOR = ", "  # of phrases in a prompt
_FASTEST_SPEECH = 20  # characters a second
_NOT_SO = frozenset({400, 415, 422})  # refusals that may mean what the plain request lacks


class OpenAICompatibleRecogniser:
    """Recognises speech with the server of ``settings.openai_stt``."""

    name = _NAME

    def __init__(self, settings: EngineSettings) -> None:
        self._model = settings.openai_stt.model
        self._endpoint = speech_endpoint(_NAME, "OPENAI_STT", settings.openai_stt, settings.openai)
        self._server = SpeechServer(self._endpoint)
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._streams: set[OpenAICompatibleStream] = set()
        self._more = _more_of(self._model)

    async def start(self) -> None:
        """Reach the server once. Raises ``EngineUnavailable``."""
        self._endpoint.check_complete(self._model)
        await self._server.start(_PATH)

    async def close(self) -> None:
        """End all streams and close all connections."""
        for stream in tuple(self._streams):
            await stream.close()
        await self._server.close()

    async def prepare(self, hints: RecognitionHints) -> None:
        """Nothing depends on the hints before a request."""

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> OpenAICompatibleStream:
        """A stream for one leg."""
        stream = OpenAICompatibleStream(self, hints, sink)
        self._streams.add(stream)
        return stream

    def forget(self, stream: OpenAICompatibleStream) -> None:
        """The stream is closed."""
        self._streams.discard(stream)

    async def hear(self, pieces: list[Samples], hints: RecognitionHints, segment: Segment) -> Transcript:
        """The transcript of a segment. Raises ``EngineError``."""
        samples = np.concatenate(pieces)
        phrases = _told(hints.phrases)
        prompt = _SEPARATOR.join(phrases)
        form, more = _form(self._model, hints.language, prompt), self._more
        # These models repeat the prompt where they hear nothing. No caller says all phrases in a row so fast.
        too_long = len(prompt) > _FASTEST_SPEECH * samples.size / SAMPLE_RATE
        echo = prompt if len(phrases) > 1 and too_long else ""

        def report(text: str) -> None:
            if not echo.startswith(text):
                segment.interim(text)

        try:
            async with asyncio.timeout(self._endpoint.timeout_seconds) as patience, self._places:
                try:
                    heard = await self._ask(form | more, samples, report, patience)
                except ServerRefusal as refusal:
                    if not more or refusal.status not in _NOT_SO:
                        raise
                    heard = await self._ask(form, samples, report, patience)
                    self._more = {}
        except TimeoutError:
            raise self._endpoint.silent() from None
        return EMPTY if echo and heard.text == echo else heard

    async def _ask(
        self,
        form: dict[str, str],
        samples: Samples,
        report: Callable[[str], None],
        patience: asyncio.Timeout,
    ) -> Transcript:
        """One request; each piece of the answer may take ``timeout_seconds``."""
        loop = asyncio.get_running_loop()
        files = {"file": ("speech.wav", _wav(samples), "audio/wav")}
        async with self._server.post(_PATH, data=form, files=files) as response:
            kind = response.headers.get("content-type", "").lower()
            answer = TranscriptionAnswer(kind, samples.size)
            try:
                async for data in response.aiter_bytes():
                    before = answer.pieces
                    if (text := answer.feed(data)) is not None:
                        report(" ".join(text.split()))
                    if answer.pieces > before:  # and no comment, which only keeps the connection open
                        patience.reschedule(loop.time() + self._endpoint.timeout_seconds)
                return answer.finish()
            except BadAnswerError as error:
                problem = self._endpoint.quoted(str(error), answer.text) or "the server's answer is an error"
                raise EngineError(_NAME, problem) from None


class OpenAICompatibleStream:
    """One leg's recognition."""

    def __init__(
        self,
        engine: OpenAICompatibleRecogniser,
        hints: RecognitionHints,
        sink: Callable[[Transcript], None],
    ) -> None:
        self._engine, self._hints = engine, hints
        self._pieces: list[Samples] = []
        self._size = 0
        self._segments = Segments(_NAME, sink)

    def push(self, samples: Samples) -> None:
        """Keep the audio until the segment is finished."""
        if self._segments.closed:
            return
        if self._size + samples.size > _MOST_SAMPLES:
            AUDIO_DROPPED.labels(_NAME).inc(samples.size / SAMPLE_RATE)
            return
        self._pieces.append(samples)
        self._size += samples.size

    def finish_segment(self) -> None:
        """Send the segment. One of less than 0.1 s holds no words."""
        if self._segments.closed:
            return
        pieces, size = self._pieces, self._size
        self._pieces, self._size = [], 0
        if size < _LEAST_SAMPLES:
            self._segments.empty()
        else:
            self._segments.begin(partial(self._engine.hear, pieces, self._hints))

    def expect(self, expectation: Expectation | None) -> None:
        """The API cannot be told what to listen for."""

    async def close(self) -> None:
        """Free the stream; its requests are closed."""
        self._pieces = []
        await self._segments.close()
        self._engine.forget(self)


def _more_of(model: str) -> dict[str, str]:
    """What is asked beyond the plain request."""
    if "whisper" in model.lower():
        return {"response_format": "verbose_json"}
    if model.startswith("gpt-4o") and "diarize" not in model:
        return {"stream": "true", "include[]": "logprobs"}
    return {"stream": "true"}


def _form(model: str, language: str, prompt: str) -> dict[str, str]:
    """The plain request; its language is ISO 639-1."""
    form = {"model": model, "response_format": "json"}
    if len(code := root(language)) == 2:
        form["language"] = code
    if prompt:
        form["prompt"] = prompt
    return form


def _told(phrases: tuple[str, ...]) -> tuple[str, ...]:
    """The phrases, left out from the first that is too many for a prompt."""
    length = 0
    for count, phrase in enumerate(phrases):
        length += len(phrase) + (len(_SEPARATOR) if count else 0)
        if length > _PROMPT_CHARACTERS:
            return phrases[:count]
    return phrases


def _wav(samples: Samples) -> bytes:
    """A WAV file of mono PCM16 at 8 kHz."""
    data = samples.astype("<i2", copy=False).tobytes()
    head = struct.pack("<4sI8sIHHIIHH", b"RIFF", 36 + len(data), b"WAVEfmt ", 16, 1, 1, SAMPLE_RATE,
                       2 * SAMPLE_RATE, 2, 16)  # fmt: skip
    return head + struct.pack("<4sI", b"data", len(data)) + data
