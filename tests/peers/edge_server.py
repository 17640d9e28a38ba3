"""A speech service of Edge's protocol over real sockets, which speaks in tones and misbehaves as told."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import escape, unescape

import numpy as np
import numpy.typing as npt
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

RATE = 24_000
FRAME_SAMPLES, FRAME_BYTES = 576, 144
FRAMES_A_CHARACTER = 2
MESSAGE_FRAMES = 12  # 0.29 s in a message
_TICKS = 10_000_000


@dataclass(frozen=True)
class Spoken:
    """A word boundary: the word and where it begins in seconds."""

    text: str
    seconds: float


@dataclass(frozen=True)
class Raw:
    """A message as it is."""

    message: str | bytes


CLOSE = "close"
Step = bytes | Spoken | Raw | float | str
"""What the server does: sends MP3 or a word, waits for seconds, sends a raw message, closes."""


def voice(name: str, locale: str, gender: str = "Female", *categories: str) -> dict[str, Any]:
    """One entry of the list of voices."""
    return {
        "Name": f"Microsoft Server Speech Text to Speech Voice ({locale}, {name})",
        "ShortName": f"{locale}-{name}",
        "Gender": gender,
        "Locale": locale,
        "SuggestedCodec": "audio-24khz-48kbitrate-mono-mp3",
        "FriendlyName": f"Microsoft {name} Online (Natural)",
        "Status": "GA",
        "VoiceTag": {"ContentCategories": list(categories), "VoicePersonalities": []},
    }


VOICES = (
    voice("AnaNeural", "en-US", "Female", "Cartoon", "Conversation"),
    voice("EmmaMultilingualNeural", "en-US", "Female", "Conversation"),
    voice("GuyNeural", "en-US", "Male", "News"),
    voice("KatjaNeural", "de-DE"),
    voice("XiaobeiNeural", "zh-CN-liaoning"),
)


def encode(samples: npt.NDArray[np.int16]) -> bytes:
    """MP3 of 24 kHz and 48 kbit/s, whose frames stand alone."""
    import av

    encoder = av.CodecContext.create("libmp3lame", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = RATE, "mono", "s16p", 48_000
    encoder.options = {"reservoir": "0"}
    encoded = bytearray()
    for begin in range(0, samples.size, FRAME_SAMPLES):
        frame = av.AudioFrame.from_ndarray(
            samples[None, begin : begin + FRAME_SAMPLES], format="s16p", layout="mono"
        )
        frame.sample_rate, frame.pts = RATE, begin
        for packet in encoder.encode(frame):
            encoded += bytes(packet)
    for packet in encoder.encode(None):
        encoded += bytes(packet)
    return bytes(encoded)


@lru_cache(maxsize=1)
def _frames() -> tuple[bytes, bytes]:
    """A frame of a tone and one of silence."""
    tone = (6000 * np.sin(2 * np.pi * 500 / RATE * np.arange(RATE))).astype(np.int16)
    middle = 20 * FRAME_BYTES
    sounding, silent = (encode(part)[middle : middle + FRAME_BYTES] for part in (tone, np.zeros_like(tone)))
    return sounding, silent


def speech(text: str) -> Iterator[Step]:
    """A tone for each word, as long as the word, and a frame of silence after it."""
    tone, silence = _frames()
    sound = silence * 4
    for word in text.split():
        yield Spoken(word.strip(",.!?“”\"'"), len(sound) / FRAME_BYTES * FRAME_SAMPLES / RATE)
        sound += tone * (FRAMES_A_CHARACTER * min(len(word), 200)) + silence * FRAMES_A_CHARACTER
    if any(char.isalnum() for char in text):
        size = MESSAGE_FRAMES * FRAME_BYTES
        yield from (sound[begin : begin + size] for begin in range(0, len(sound), size))


@dataclass
class EdgeServer:
    """``answer``: what it does for the text of a request. Requests are kept as their SSML."""

    answer: Callable[[str], Iterable[Step]] = speech
    voices: Sequence[dict[str, Any]] | str = VOICES
    voices_status: int = 200
    refusals: int = 0  # connections to be refused, with ``refusal``
    refusal: int = 403
    open_after: float = 0.0
    begin_after: float = 0.0  # seconds from a request to the first message
    audio_every: float = 0.0  # seconds from one message of audio to the next
    drop_waiting_after: float | None = None  # seconds without a request, then it closes
    requests: list[str] = field(default_factory=list)
    configs: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    open: int = 0
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)
    first_sent: float = 0.0  # the loop's time
    url: str = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[EdgeServer]:
        _frames()
        async with serve(
            self._talk, "127.0.0.1", 0, process_request=self._greet, compression=None, close_timeout=0.1
        ) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            self.url = f"ws://127.0.0.1:{port}/readaloud/edge/v1?TrustedClientToken=none"
            yield self

    async def _greet(self, connection: ServerConnection, request: Request) -> Response | None:
        self.paths.append(request.path)
        if "/voices/list" in request.path:
            listed = self.voices if isinstance(self.voices, str) else json.dumps(self.voices)
            return connection.respond(HTTPStatus(self.voices_status), listed)
        await asyncio.sleep(self.open_after)
        if self.refusals:
            self.refusals -= 1
            return connection.respond(HTTPStatus(self.refusal), "")
        return None

    async def _talk(self, connection: ServerConnection) -> None:
        self.open += 1
        try:
            self.configs.append(str(await connection.recv()))
            async with asyncio.timeout(self.drop_waiting_after):
                request = str(await connection.recv())
            self.requests.append(request)
            await self._turn(connection, request)
            await connection.wait_closed()
        except (ConnectionClosed, TimeoutError):
            pass
        finally:
            self.open -= 1
            self.disconnected.set()

    async def _turn(self, connection: ServerConnection, request: str) -> None:
        asked = re.search(r"<voice name='([^']*)'", request)
        assert asked
        if not isinstance(self.voices, str) and asked[1] not in {entry["Name"] for entry in self.voices}:
            await connection.close(1007, "Unsupported voice")
            return
        said = re.search(r"<prosody[^>]*>(.*)</prosody>", request, re.DOTALL)
        assert said
        await _pause(connection, self.begin_after)
        await connection.send(_text("turn.start", {"context": {"serviceTag": "x"}}))
        for step in self.answer(unescape(said[1])):
            match step:
                case float(seconds):
                    await _pause(connection, seconds)
                case Raw(message):
                    await connection.send(message)
                case Spoken(word, seconds):
                    await connection.send(boundary(word, seconds))
                case bytes(mp3):
                    self.first_sent = self.first_sent or asyncio.get_running_loop().time()
                    await connection.send(audio(mp3))
                    await _pause(connection, self.audio_every)
                case _:
                    await connection.close(1011)
                    return
        await connection.send(audio(b"", content_type=""))
        await connection.send(_text("turn.end", {}))


async def _pause(connection: ServerConnection, seconds: float) -> None:
    """Wait, and no longer than the peer is there."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await connection.wait_closed()


def audio(mp3: bytes, content_type: str = "Content-Type:audio/mpeg\r\n") -> bytes:
    """A binary message."""
    header = f"X-RequestId:1\r\n{content_type}X-StreamId:2\r\nPath:audio\r\n".encode()
    return len(header).to_bytes(2, "big") + header + mp3


def boundary(word: str, seconds: float) -> str:
    """A message of metadata."""
    data = {
        "Offset": round(seconds * _TICKS),
        "Duration": 1_000_000,
        "text": {"Text": escape(word), "Length": len(word), "BoundaryType": "WordBoundary"},
    }
    return _text("audio.metadata", {"Metadata": [{"Type": "WordBoundary", "Data": data}]})


def _text(path: str, body: dict[str, Any]) -> str:
    content = "Content-Type:application/json; charset=utf-8"
    return f"X-RequestId:1\r\n{content}\r\nPath:{path}\r\n\r\n{json.dumps(body, ensure_ascii=False)}"
