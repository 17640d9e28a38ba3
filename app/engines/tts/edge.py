"""The ``edge`` synthesiser: the voices of Microsoft Edge's reading aloud, over the network.

A public service without a promise or a key. A connection is opened ahead of each phrase; MP3 is decoded as it
streams, and words are marked. A phrase is over when the service says so; closing one drops its connection.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from app.engines.errors import EngineError, EngineTimeout, EngineUnavailable
from app.engines.ports import Gender, SpeechChunk, Voice, VoiceSpec
from app.engines.timing import Breath
from app.engines.tts.edge_messages import NAME, Audio, EdgeMessages, Event, Prosody, TurnEnd, Word
from app.engines.tts.edge_sound import EdgeSound
from app.engines.tts.edge_voices import EdgeVoices, known_voices, read_voices
from app.engines.tts.mp3 import Mp3Decoder
from app.engines.tts.voice_names import LISTED, UnspokenError, no_voice, speaking_as
from config.engines import EdgeSettings

if TYPE_CHECKING:
    from app.engines.tts.edge_connection import EdgeConnections, EdgeSocket

_VOICE_HZ: dict[Gender, float] = {"female": 200.0, "male": 120.0}  # usual means of adults
_ANY_VOICE_HZ = 160.0

log = structlog.get_logger(__name__)


class EdgeSynthesiser:
    """Speaks with the service at ``settings.url``; empty: Microsoft's.

    Beside another endpoint ``wss://HOST/PATH/edge/v1`` the list of voices is ``https://HOST/PATH/voices/list``.
    ``VoiceSpec.name``: one of ``voices``. Rates from 0.5 to 2, pitches from 0.5 to 1.5.
    """

    name = NAME

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings
        self._messages: EdgeMessages | None = None
        self._connections: EdgeConnections | None = None
        self._listed: EdgeVoices | None = None

    async def start(self) -> None:
        """Reach the service once and ask for its voices. Raises ``EngineUnavailable``."""
        if self._connections is not None:
            return
        check_endpoint(self._settings.url)
        messages, trusted = await asyncio.to_thread(_load, self._settings)
        from app.engines.tts.edge_connection import EdgeConnections  # noqa: PLC0415 - optional, loaded above

        if self._settings.voice and not messages.is_voice(self._settings.voice):
            message = "TRUNKLINE_ENGINES__EDGE__VOICE must be a voice such as en-US-EmmaMultilingualNeural"
            raise EngineUnavailable(NAME, message)
        connections = EdgeConnections(self._settings, messages, trusted)
        try:
            connections.open_ahead()
            listed = await _ask_voices(connections)
            await connections.reach()
        except BaseException:
            await connections.close()
            raise
        self._listed = listed
        self._messages, self._connections = messages, connections

    async def close(self) -> None:
        """Close all connections; phrases being spoken end with ``EngineError``."""
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.close()

    async def voices(self) -> tuple[Voice, ...]:
        """The service's list, or, where it gives none, a few that are known. Raises ``EngineError``."""
        connections, _ = self._running()
        if self._listed is None:
            self._listed = await _ask_voices(connections)
        return self._voices.all

    async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        """The phrase's audio as it comes; nothing for a phrase without words.

        A word whose mark comes later than its audio is marked where the next piece begins. Raises
        ``EngineTimeout`` when no audio comes for ``timeout_seconds``; ``RequestRefused`` for an unknown voice
        and a language without one; other ``EngineError``.
        """
        if not phrase.strip():
            return
        connections, messages = self._running()
        prosody = self._prosody(voice)
        if not messages.is_voice(prosody.voice):
            raise no_voice(NAME, prosody.voice)
        sound, breath = EdgeSound(phrase), Breath()
        with speaking_as(NAME, voice.name, self._voices.has):
            for request in messages.requests(phrase, prosody):
                async with aclosing(self._events(connections, request)) as events:
                    sound.begin()
                    async for event in events:
                        match event:
                            case Audio(data):
                                for chunk in sound.audio(data):
                                    yield chunk
                                    await breath.take()  # a long message is decoded in slices
                            case Word(text, seconds):
                                sound.word(text, seconds)
                    for chunk in sound.finish():
                        yield chunk
            if not sound.samples and any(char.isalnum() for char in phrase):
                raise UnspokenError(NAME, f"no audio came for voice {prosody.voice!r}; {LISTED}")

    async def _events(self, connections: EdgeConnections, request: str) -> AsyncGenerator[Event, None]:
        """What the service sends for a request until its end, with a limit of time for each audio."""
        loop, seconds = asyncio.get_running_loop(), self._settings.timeout_seconds
        socket: EdgeSocket | None = None
        breath = Breath()
        try:
            deadline = loop.time() + seconds
            async with asyncio.timeout_at(deadline):
                socket, events = await connections.ask(request)
            while True:
                for event in events:
                    if isinstance(event, TurnEnd):
                        return
                    yield event
                    if isinstance(event, Audio):
                        deadline = loop.time() + seconds
                async with asyncio.timeout_at(deadline):
                    events = await socket.receive()
                await breath.take()  # messages that came at once are read between other work
        except TimeoutError:
            raise EngineTimeout(NAME, f"no audio for {seconds:g} s") from None
        finally:
            if socket is not None:
                await socket.close()

    @property
    def _voices(self) -> EdgeVoices:
        return self._listed or known_voices()

    def _running(self) -> tuple[EdgeConnections, EdgeMessages]:
        if self._connections is None or self._messages is None:
            raise EngineError(NAME, "it is not started")
        return self._connections, self._messages

    def _prosody(self, voice: VoiceSpec) -> Prosody:
        name = voice.name or self._settings.voice or self._voices.for_language(voice.language)
        normal_hz = _VOICE_HZ.get(self._voices.gender(name), _ANY_VOICE_HZ)
        return Prosody(
            voice=name,
            rate_percent=round((min(max(voice.rate, 0.5), 2.0) - 1) * 100),
            pitch_hz=round((min(max(voice.pitch, 0.5), 1.5) - 1) * normal_hz),
        )


def check_endpoint(url: str) -> None:
    """Raises ``EngineUnavailable`` for what is no WebSocket's address; empty is Microsoft's."""
    if url and urlsplit(url).scheme not in {"ws", "wss"}:
        raise EngineUnavailable(NAME, "TRUNKLINE_ENGINES__EDGE__URL must begin with ws:// or wss://")


async def _ask_voices(connections: EdgeConnections) -> EdgeVoices | None:
    """The list of voices; ``None``: the service gives none, and may speak all the same."""
    try:
        return read_voices(await connections.voices())
    except EngineError as error:
        log.warning("voices_not_listed", engine=NAME, reason=str(error))
        return None


def _load(settings: EdgeSettings) -> tuple[EdgeMessages, ssl.SSLContext]:
    """Import what is slow to import, and the certificates to trust. Raises ``EngineUnavailable``."""
    messages = EdgeMessages.load()
    try:
        from app.engines.tts import edge_connection  # noqa: F401, PLC0415 - loads aiohttp

        Mp3Decoder()
    except ImportError as error:
        message = f"the library {error.name} is not installed; run 'make engines'"
        raise EngineUnavailable(NAME, message) from None
    if settings.url:
        return messages, ssl.create_default_context()
    import certifi  # noqa: PLC0415 - comes with edge-tts, which trusts it too

    return messages, ssl.create_default_context(cafile=certifi.where())
