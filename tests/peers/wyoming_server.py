"""A Wyoming server made with the protocol's own package, and one that sends bytes as it is told."""

from __future__ import annotations

import asyncio
import socket
import warnings
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.peers.openai_audio import tone

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the package imports audioop
    from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
    from wyoming.audio import AudioChunk, AudioStart, AudioStop
    from wyoming.error import Error
    from wyoming.event import Event, Eventable
    from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info, TtsProgram, TtsVoice
    from wyoming.server import AsyncEventHandler, AsyncTcpServer
    from wyoming.tts import Synthesize

__all__ = [
    "AudioChunk",
    "AudioStart",
    "AudioStop",
    "Info",
    "RawServer",
    "WyomingServer",
    "asr",
    "failure",
    "hum",
    "spoken",
    "tts",
]

_BY: dict[str, Any] = {
    "attribution": Attribution("us", "https://example.com"),
    "installed": True,
    "version": "1",
}


def asr(*languages: str) -> AsrProgram:
    models = [AsrModel(name="small", description="Small", languages=list(languages), **_BY)]
    return AsrProgram(name="whisper", description="", models=models, **_BY)


def tts(**voices: list[str]) -> TtsProgram:
    offered = [
        TtsVoice(name=name, description=f"The voice {name}", languages=languages, **_BY)
        for name, languages in voices.items()
    ]
    return TtsProgram(name="piper", description="", voices=offered, **_BY)


@dataclass
class WyomingServer:
    """``texts``: one a segment, then the last again. ``streams``: it sends the words while the audio comes.
    ``early``: it transcribes after so many bytes, by itself. ``speech``: what it answers to a phrase.
    ``keeps_open``: it leaves the connection open after an answer."""

    info: Info = field(default_factory=lambda: Info(asr=[asr("en")], tts=[tts(amy=["en_US"])]))
    texts: Sequence[str] = ("hello there",)
    streams: bool = False
    early: int | None = None
    answer_after: float | Callable[[], float | None] = 0.0  # seconds; ``None``: it closes the connection
    speech: Sequence[Eventable | float] | Callable[[str], Sequence[Eventable | float]] = ()
    keeps_open: bool = False
    requests: list[Transcribe] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    formats: set[tuple[int, int, int]] = field(default_factory=set)
    asked: list[Synthesize] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[WyomingServer]:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        server = AsyncTcpServer("127.0.0.1", port)
        await server.start(lambda reader, writer: _Handler(self, reader, writer))
        self.url = f"tcp://127.0.0.1:{port}"
        try:
            yield self
        finally:
            await server.stop()
            await asyncio.sleep(0.01)  # what was told to close does


class _Handler(AsyncEventHandler):
    def __init__(
        self, server: WyomingServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        super().__init__(reader, writer)
        self._server = server
        self._audio = bytearray()
        self._words: list[str] = []
        self._answered = False
        self._text = ""
        server.connections += 1
        server.open += 1

    async def handle_event(self, event: Event) -> bool:
        if Describe.is_type(event.type):
            await self.write_event(self._server.info.event())
        elif Transcribe.is_type(event.type):
            number = len(self._server.requests)
            self._server.requests.append(Transcribe.from_event(event))
            self._text = self._server.texts[min(number, len(self._server.texts) - 1)]
        elif AudioStart.is_type(event.type):
            if self._server.streams:
                self._words = self._text.split()
                await self.write_event(TranscriptStart(language="en").event())
        elif AudioChunk.is_type(event.type):
            await self._hear(AudioChunk.from_event(event))
        elif AudioStop.is_type(event.type):
            return await self._transcribe()
        elif Synthesize.is_type(event.type):
            asked = Synthesize.from_event(event)
            self._server.asked.append(asked)
            voices = {voice.name for program in self._server.info.tts for voice in program.voices}
            if asked.voice and asked.voice.name and asked.voice.name not in voices:
                await self.write_event(Error(f"no voice {asked.voice.name}").event())
                return self._server.keeps_open
            speech = self._server.speech
            return await self._speak(speech(asked.text) if callable(speech) else speech)
        return True

    async def run(self) -> None:
        with suppress(ConnectionError):  # clients may go away in the middle of an answer
            await super().run()

    async def disconnect(self) -> None:
        self._server.open -= 1
        self._server.disconnected.set()

    async def _hear(self, chunk: AudioChunk) -> None:
        self._server.formats.add((chunk.rate, chunk.width, chunk.channels))
        self._audio += chunk.audio
        if self._words:
            await self.write_event(TranscriptChunk(f"{self._words.pop(0)} ").event())
        if self._server.early is not None and len(self._audio) > self._server.early:
            await self._transcribe()

    async def _transcribe(self) -> bool:
        if not self._answered:
            self._answered = True
            self._server.heard.append(bytes(self._audio))
            after = self._server.answer_after
            seconds = after() if callable(after) else after
            if seconds is None:
                return False
            await asyncio.sleep(seconds)
            await self.write_event(Transcript(self._text, language="en_US").event())
            if self._server.streams:
                await self.write_event(TranscriptStop().event())
        return self._server.keeps_open

    async def _speak(self, speech: Sequence[Eventable | float]) -> bool:
        for piece in speech:
            if isinstance(piece, float):
                gone = asyncio.ensure_future(self.reader.read(1))
                await asyncio.wait([gone], timeout=piece)
                gone.cancel()
                await asyncio.wait([gone])
            else:
                await self.write_event(piece.event())
        return self._server.keeps_open


def spoken(
    data: bytes, rate: int, width: int = 2, channels: int = 1, size: int = 2048
) -> list[Eventable | float]:
    """Audio as wyoming-piper sends it."""
    chunks: list[Eventable | float] = [
        AudioChunk(rate, width, channels, data[start : start + size]) for start in range(0, len(data), size)
    ]
    return [AudioStart(rate, width, channels), *chunks, AudioStop()]


def hum(text: str) -> list[Eventable | float]:
    """As long as the text would be, in pieces of a tenth of a second."""
    chunk = AudioChunk(16_000, 2, 1, tone(0.1, 16_000).tobytes())
    return [AudioStart(16_000, 2, 1), *[chunk] * (1 + len(text) // 2), AudioStop()]


def failure(text: str) -> Error:
    return Error(text)


@dataclass
class RawServer:
    """Sends ``pieces`` to each connection: bytes, and seconds to wait; then closes it."""

    pieces: Sequence[bytes | float] = ()
    reads: bool = True
    connections: int = 0
    url: str = ""
    _serving: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RawServer]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task, writer in tuple(self._serving.items()):
                task.cancel()
                writer.transport.abort()
            await asyncio.sleep(0.01)  # what was told to close does

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving[task] = writer
        task.add_done_callback(self._serving.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = asyncio.create_task(_drain(reader) if self.reads else asyncio.sleep(60.0))
        try:
            for piece in self.pieces:
                if isinstance(piece, float):
                    await asyncio.wait([gone], timeout=piece)
                else:
                    writer.write(piece)
                    await writer.drain()
        except ConnectionError:
            pass
        finally:
            gone.cancel()
            await asyncio.wait([gone])
            writer.close()


async def _drain(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(65536):
            pass
    except ConnectionError:
        pass
