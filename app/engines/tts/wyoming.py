"""The ``wyoming`` synthesiser: a server of Home Assistant's protocol (wyoming-piper and others).

A phrase is asked for as a whole, since it comes as a whole: the protocol's streaming of text would gain
nothing. Audio is taken as it comes and converted to the line's 8 kHz in pieces of at most 0.2 s. The protocol
knows neither rate nor pitch of a voice, nor when words begin.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from app.engines.errors import EngineError, EngineUnavailable
from app.engines.languages import MULTIPLE, nearest, tag
from app.engines.ports import SpeechChunk, Voice, VoiceSpec
from app.engines.timing import Breath, WaitLimit
from app.engines.tts.line_audio import AudioFormatError, LineAudio, PcmFormat
from app.engines.tts.voice_names import UnspokenError, speaking_as
from app.engines.wyoming import Address, Link, Offer, connected, describe, offers, offers_any
from app.engines.wyoming_events import Event
from config.engines import WyomingSettings
from telephony.media.frame import Samples

_NAME = "wyoming"
_SETTING = "TRUNKLINE_ENGINES__WYOMING__TTS_URL"


class WyomingSynthesiser:
    """Speaks with the server at ``settings.tts_url``.

    ``VoiceSpec.name``: one of ``voices``; of a voice with several speakers, ``VOICE#SPEAKER`` too. Without
    one the server takes its own voice, which not every server chooses by the language.
    """

    name = _NAME

    def __init__(self, settings: WyomingSettings) -> None:
        self._settings = settings
        self._address: Address | None = None
        self._offers: tuple[Offer, ...] = ()
        self._links: set[Link] = set()

    @property
    def address(self) -> Address:
        """Where the server is. Raises ``EngineUnavailable``."""
        if self._address is None:
            self._address = Address.of(
                _NAME, _SETTING, self._settings.tts_url, self._settings.timeout_seconds
            )
        return self._address

    async def start(self) -> None:
        """Ask the server what it offers. Raises ``EngineUnavailable``."""
        info = await describe(self.address)
        if not offers_any(info, "tts"):
            raise EngineUnavailable(
                _NAME, f"{self.address}: the server speaks no text (no tts); check {_SETTING}"
            )
        self._offers = offers(info, "tts", "voices")

    async def close(self) -> None:
        """Close all connections; phrases being spoken end with ``EngineError``."""
        for link in self._links:
            link.close()

    async def voices(self) -> tuple[Voice, ...]:
        """What the server offered at the start; ``language`` is ``mul`` for those of several."""
        return tuple(
            Voice(
                offer.name,
                tag(offer.languages[0]) if len(offer.languages) == 1 else MULTIPLE,
                title=offer.title,
            )
            for offer in self._offers
        )

    async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        """The phrase's audio; nothing for a phrase without a word. Closing it closes the connection.

        Raises ``EngineTimeout`` when the server is silent for ``timeout_seconds``, ``RequestRefused`` for
        an unknown voice, and other ``EngineError``.
        """
        if not phrase.strip():
            return
        breath = Breath()
        text = phrase.encode("utf-8", "replace").decode()
        with speaking_as(_NAME, voice.name, self._is_offered):
            async with self._connected(self.address) as link:
                link.send(Event("synthesize", {"text": text, "voice": self._voice(voice)}))
                async with aclosing(_audio(link, self.address, phrase)) as pieces:
                    async for samples in pieces:
                        yield SpeechChunk(samples)
                        await breath.take()  # a phrase that came at once is converted between other work

    @asynccontextmanager
    async def _connected(self, address: Address) -> AsyncIterator[Link]:
        async with connected(address) as link:
            self._links.add(link)
            try:
                yield link
            finally:
                self._links.discard(link)

    def _is_offered(self, name: str) -> bool:
        """Whether the server may have the voice: one that offers none may have any."""
        names = [offer.name for offer in self._offers]
        return not names or name.partition("#")[0] in names

    def _voice(self, voice: VoiceSpec) -> dict[str, str]:
        if voice.name:
            name, _, speaker = voice.name.partition("#")
            return {"name": name} | ({"speaker": speaker} if speaker else {})
        offered = tuple(language for offer in self._offers for language in offer.languages)
        return {"language": nearest(voice.language, offered) or voice.language}


async def _audio(link: Link, address: Address, phrase: str) -> AsyncGenerator[Samples, None]:
    """A phrase's audio for the line. Raises ``EngineError``, ``UnspokenError`` where it has none."""
    sound, spoken = _Sound(), False
    try:
        async with aclosing(_timely(link, address)) as events:
            async for event in events:
                match event.kind:
                    case "audio-start":
                        sound.begin(event)
                    case "audio-chunk":
                        for samples in sound.feed(event):
                            spoken = True
                            yield samples
                    case "audio-stop":
                        break
                    case "error":
                        raise _failed(address.reported(event, phrase), spoken=spoken)
                    case _:
                        pass
            else:
                problem = "the server closed the connection in the middle of the phrase"
                raise _failed(problem, spoken=spoken)
    except AudioFormatError as error:
        raise EngineError(_NAME, f"the server sent {error}", retryable=False) from None
    for samples in sound.finish():
        spoken = True
        yield samples
    if not spoken and any(character.isalnum() for character in phrase):
        raise UnspokenError(_NAME, "the server sent no audio")


async def _timely(link: Link, address: Address) -> AsyncGenerator[Event, None]:
    """What the server sends. Raises ``EngineTimeout`` when that is nothing for ``timeout_seconds``."""
    limit = WaitLimit()
    try:
        async with aclosing(link.events()) as events:
            while (event := await limit.wait(anext(events, None), address.timeout_seconds)) is not None:
                yield event
    except TimeoutError:
        raise address.silent() from None
    finally:
        limit.close()


def _failed(problem: str, *, spoken: bool) -> EngineError:
    return EngineError(_NAME, problem) if spoken else UnspokenError(_NAME, problem)


class _Sound:
    """The audio in a server's events; it may change its format."""

    def __init__(self) -> None:
        self._converter: LineAudio | None = None
        self._given: PcmFormat | None = None  # what was told last
        self._known: Mapping[str, Any] | None = None  # an event's data that tell the converter's format

    def begin(self, event: Event) -> None:
        """What follows is of this format. Raises ``AudioFormatError``."""
        self._given, self._known = _format(event, None), None

    def feed(self, event: Event) -> Iterator[Samples]:
        """Audio for the line, made when asked for. Raises ``AudioFormatError``."""
        if self._converter is None or event.data != self._known:
            told = self._given = _format(event, self._given)
            self._known = event.data
            if self._converter is None or told != self._converter.format:
                yield from self.finish()
                self._converter = LineAudio(told)
        yield from self._converter.feed(event.payload)

    def finish(self) -> Iterator[Samples]:
        """What is left."""
        if self._converter is not None and (rest := self._converter.finish()).size:
            yield rest


def _format(event: Event, given: PcmFormat | None) -> PcmFormat:
    """What the event tells, or else what was told before. Raises ``AudioFormatError``."""
    rate, width, channels = (event.number(name) for name in ("rate", "width", "channels"))
    if rate is not None and width is not None and channels is not None:
        return PcmFormat(rate, width, channels)
    if given is None:
        raise AudioFormatError("audio of no format")
    return given
