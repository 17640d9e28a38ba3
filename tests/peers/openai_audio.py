"""A server of OpenAI's audio endpoints over a real socket, that misbehaves as told."""

from __future__ import annotations

import email.parser
import email.policy
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from telephony.media.frame import Samples
from tests.peers.http_server import Client, HttpRequest, HttpServer


@dataclass(frozen=True)
class Request:
    """What the server was asked."""

    path: str
    key: str
    kind: str
    content: bytes

    @cached_property
    def fields(self) -> dict[str, bytes]:
        """Of a form; read when they are looked at, since that takes milliseconds."""
        parser = email.parser.BytesParser(policy=email.policy.HTTP)
        message = parser.parsebytes(f"content-type: {self.kind}\r\n\r\n".encode() + self.content)
        fields: dict[str, bytes] = {}
        for part in message.iter_parts():
            payload = part.get_payload(decode=True)
            name = part.get_param("name", header="content-disposition")
            fields[str(name)] = payload if isinstance(payload, bytes) else b""
        return fields

    @property
    def body(self) -> dict[str, Any]:
        """Of JSON."""
        body: dict[str, Any] = json.loads(self.content)
        return body


@dataclass(frozen=True)
class Answer:
    """``pieces``: bytes to send, and seconds to wait between. ``missing``: bytes announced and never sent;
    of a chunked answer, its end."""

    pieces: Sequence[bytes | float] = ()
    status: int = 200
    kind: str = "application/json"
    framing: Literal["chunked", "length"] = "chunked"
    missing: int = 0


def transcript(text: str, **others: Any) -> Answer:
    return Answer([json.dumps({"text": text} | others).encode()], framing="length")


def events(*data: Any) -> list[bytes | float]:
    """The pieces of server-sent events: objects, texts as they are, and seconds to wait."""
    return [entry if isinstance(entry, float) else f"data: {_event(entry)}\n\n".encode() for entry in data]


def _event(entry: Any) -> str:
    return entry if isinstance(entry, str) else json.dumps(entry)


def streamed(*data: Any, **others: Any) -> Answer:
    return Answer(events(*data), kind="text/event-stream; charset=utf-8", **others)


def delta(text: str, **others: Any) -> dict[str, Any]:
    return {"type": "transcript.text.delta", "delta": text} | others


def done(text: str, **others: Any) -> dict[str, Any]:
    return {"type": "transcript.text.done", "text": text} | others


def refusal(status: int, message: str = "an error") -> Answer:
    return Answer([json.dumps({"error": {"message": message}}).encode()], status, framing="length")


def tone(seconds: float, rate: int, hertz: float = 440.0) -> Samples:
    phase = 2 * np.pi * hertz / rate * np.arange(round(seconds * rate))
    sound: Samples = np.rint(8000 * np.sin(phase)).astype(np.int16)
    return sound


def hum(request: Request) -> Answer:
    """Speech as long as the text would be, in pieces of a tenth of a second; none by the voice nobody."""
    if request.body["voice"] == "nobody":
        return refusal(400, "Voice 'nobody' not found")
    return Answer([tone(0.1, 24_000).tobytes()] * (1 + len(request.body["input"]) // 2), kind="audio/pcm")


def wav(data: bytes, rate: int, channels: int = 1, bits: int = 16, extra: bytes = b"") -> bytes:
    """A WAV file as servers that stream write it: its lengths are of no use."""
    width = channels * bits // 8
    head = struct.pack("<4sI8sIHHIIHH", b"RIFF", 0xFFFFFFFF, b"WAVEfmt ", 16, 1, channels, rate,
                       rate * width, width, bits)  # fmt: skip
    return head + extra + struct.pack("<4sI", b"data", 0xFFFFFFFF) + data


@dataclass
class OpenAIAudioServer(HttpServer):
    """``answer``: to every request that is no probe; a list: to one after another, the last again."""

    base = "/v1"

    answer: Answer | Callable[[Request], Answer] | list[Answer] = field(
        default_factory=lambda: transcript("hello")
    )
    probe: Answer = field(default_factory=lambda: refusal(422, "field required"))
    voices: Answer = field(default_factory=lambda: refusal(404, "Not Found"))
    requests: list[Request] = field(default_factory=list)

    async def answer_to(self, request: HttpRequest, client: Client) -> bool:
        headers = request.headers
        if request.path.endswith("/voices"):
            answer = self.voices
        elif request.body == b"{}":
            answer = self.probe
        else:
            key, kind = headers.get("authorization", ""), headers.get("content-type", "")
            answer = self._answer_to(Request(request.path, key, kind, request.body))
        await _send(client, answer)
        return not answer.missing

    def _answer_to(self, request: Request) -> Answer:
        self.requests.append(request)
        if isinstance(self.answer, list):
            return self.answer.pop(0) if len(self.answer) > 1 else self.answer[0]
        return self.answer if isinstance(self.answer, Answer) else self.answer(request)


async def _send(client: Client, answer: Answer) -> None:
    chunked = answer.framing == "chunked"
    size = sum(len(piece) for piece in answer.pieces if isinstance(piece, bytes)) + answer.missing
    framing = "transfer-encoding: chunked" if chunked else f"content-length: {size}"
    await client.send(
        f"HTTP/1.1 {answer.status} X\r\ncontent-type: {answer.kind}\r\n{framing}\r\n\r\n".encode()
    )
    for piece in answer.pieces:
        if isinstance(piece, float):
            await client.pause(piece)
        elif chunked:
            await client.send_chunk(piece)
        else:
            await client.send(piece)
    if chunked and not answer.missing:
        await client.send_chunk(b"")
