"""The ``openai_compatible`` synthesiser: any server of ``/audio/speech`` (OpenAI, Kokoro-FastAPI, speaches).

Audio is taken as it comes, PCM16 or WAV, and converted to the line's 8 kHz in pieces of at most 0.2 s: 0.7 ms
of CPU a second of speech at 24 kHz. A phrase that is no longer wanted closes its request, which makes such
servers stop. The API tells no words' times and takes no pitch; its voices choose the language by the text.
PCM is of the rate in the answer's content type (``audio/pcm;rate=16000``), where it says one.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import httpx2

from app.engines.errors import EngineError, RequestRefused
from app.engines.languages import MULTIPLE
from app.engines.openai_client import OPENAI_URL, ServerRefusal, speech_endpoint
from app.engines.openai_speech import SpeechServer, error_text
from app.engines.ports import SpeechChunk, Voice, VoiceSpec
from app.engines.timing import Breath
from app.engines.tts.line_audio import AudioFormatError, AudioHead, LineAudio, PcmFormat
from app.engines.tts.openai_voices import OPENAI_VOICES, listed_voices
from config.engines import EngineSettings
from telephony.media.frame import Samples

_NAME = "openai_compatible"
_FORMAT_SETTING = "TRUNKLINE_ENGINES__OPENAI_TTS__FORMAT"
_RATE = re.compile(r"rate=(\d{4,6})\b")
_PATH = "/audio/speech"
_BAD_REQUEST = frozenset({400, 422})  # also for a voice that the server does not have
_SLOWEST, _FASTEST = 0.25, 4.0  # that the API takes
_ERRORS = (b'{"error"', b'{"detail"', b'{"message"', b"data: {", b"event: error")  # no audio begins so


class OpenAICompatibleSynthesiser:
    """Speaks with the server of ``settings.openai_tts``."""

    name = _NAME

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings.openai_tts
        self._endpoint = speech_endpoint(_NAME, "OPENAI_TTS", settings.openai_tts, settings.openai)
        self._server = SpeechServer(self._endpoint)

    async def start(self) -> None:
        """Reach the server once. Raises ``EngineUnavailable``."""
        self._endpoint.check_complete(self._settings.model)
        await self._server.start(_PATH)

    async def close(self) -> None:
        """Close all connections; phrases being spoken end with ``EngineError``."""
        await self._server.close()

    async def voices(self) -> tuple[Voice, ...]:
        """What the server lists at ``/audio/voices``, which OpenAI lacks; else the voices known of it.

        ``language`` is ``mul`` for those of any language. Raises ``EngineError``.
        """
        if self._endpoint.url == OPENAI_URL:
            return OPENAI_VOICES
        try:
            listed = listed_voices(await self._server.get("/audio/voices"))
        except ServerRefusal as refusal:
            if refusal.retryable or refusal.status in {401, 403}:
                raise
            listed = ()
        if listed:
            return listed
        known = any(voice.name == self._settings.voice for voice in OPENAI_VOICES)
        return OPENAI_VOICES if known else (Voice(self._settings.voice, MULTIPLE),)

    async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        """The phrase's audio; nothing for a phrase without a word.

        Raises ``EngineTimeout`` when the server is silent for ``timeout_seconds``; ``RequestRefused`` when it
        refuses a request for a voice other than that of the settings; other ``EngineError``: not retryable
        when the request or the key is refused.
        """
        if not phrase.strip():
            return
        breath, spoken = Breath(), False
        with self._speaking_as(voice.name):
            async with (
                self._server.post(_PATH, private=phrase, json=self._body(phrase, voice)) as response,
                aclosing(self._convert(response, phrase)) as pieces,
            ):
                async for samples in pieces:
                    spoken = True
                    yield SpeechChunk(samples)
                    await breath.take()  # a phrase that came at once is converted between other work
        if not spoken and any(character.isalnum() for character in phrase):
            raise EngineError(_NAME, "the server sent no audio")

    @contextmanager
    def _speaking_as(self, name: str) -> Iterator[None]:
        """A refused request for a voice of the caller's choice is the request's fault."""
        try:
            yield
        except ServerRefusal as refusal:
            if refusal.status not in _BAD_REQUEST or name in {"", self._settings.voice}:
                raise
            raise RequestRefused(_NAME, refusal.message) from None

    async def _convert(self, response: httpx2.Response, phrase: str) -> AsyncGenerator[Samples, None]:
        """The body as audio for the line. Raises ``EngineError`` for what is none."""
        kind = response.headers.get("content-type", "").lower()
        if kind.startswith(("text/", "application/json")):
            raise self._reported(await anext(response.aiter_bytes(), b""), phrase, kind)
        try:
            head, audio = AudioHead(self._pcm(kind)), None
            async for data in response.aiter_bytes():
                if data.startswith(_ERRORS):
                    raise self._reported(data, phrase)
                sound = head.feed(data)
                if audio is None and head.format is not None:
                    audio = LineAudio(head.format)
                for samples in audio.feed(sound) if audio is not None else ():
                    yield samples
            if audio is not None and (rest := audio.finish()).size:
                yield rest
        except AudioFormatError as error:
            settings = f"{self._endpoint.url_setting} and {_FORMAT_SETTING}, which asks for pcm or wav"
            raise EngineError(_NAME, f"the server sent {error}; check {settings}") from None

    def _pcm(self, kind: str) -> PcmFormat | None:
        """The format of what comes as PCM; ``None`` where it must be a WAV file."""
        if "wav" in kind or self._settings.format == "wav":
            return None
        told = _RATE.search(kind)
        return PcmFormat(int(told[1]) if told else self._settings.pcm_hz)

    def _body(self, phrase: str, voice: VoiceSpec) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._settings.model,
            "input": phrase.encode("utf-8", "replace").decode(),
            "voice": voice.name or self._settings.voice,
            "response_format": self._settings.format,
        }
        if voice.rate != 1.0:
            body["speed"] = min(max(voice.rate, _SLOWEST), _FASTEST)
        return body

    def _reported(self, data: bytes, phrase: str, kind: str = "") -> EngineError:
        said = error_text(data.removeprefix(b"data: ")) or kind
        quoted = self._endpoint.quoted(said, phrase) or "an error"
        return EngineError(_NAME, f"the server sent no audio, but this: {quoted}")
