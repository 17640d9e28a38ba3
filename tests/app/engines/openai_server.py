"""A server of OpenAI's chat completions over a real socket, that misbehaves as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

DONE = "[DONE]"


def chunk(content: str | None = None, finish: str | None = None, **delta: Any) -> str:
    """The data of one streamed chunk."""
    delta = ({"content": content} if content is not None else {}) | delta
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return json.dumps(
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    )


def tool_piece(index: int, arguments: str, name: str | None = None, call_id: str | None = None) -> str:
    """The data of a chunk with a piece of a tool call."""
    function = {"arguments": arguments} | ({"name": name} if name else {})
    piece = {"index": index, "function": function} | ({"id": call_id, "type": "function"} if call_id else {})
    return chunk(tool_calls=[piece])


@dataclass
class OpenAIServer:
    """``events``: what a completion streams: a data text, seconds to wait, or bytes as they are."""

    events: Sequence[str | float | bytes] = ()
    status: int = 200
    error: str = "an error"
    broken: bool = False  # close the connection in the middle of the stream
    models_status: int = 200
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    connections: int = 0
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[OpenAIServer]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode().lower():
                line, *rest = head.split("\r\n")
                headers = dict(entry.split(": ", 1) for entry in rest if ": " in entry)
                self.keys.append(headers.get("authorization", ""))
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                if line.startswith("get /v1/models"):
                    self._answer(writer, self.models_status, {"object": "list", "data": []})
                else:
                    self.requests.append(json.loads(body))
                    await self._complete(reader, writer)
                    if self.broken:
                        break
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _answer(self, writer: asyncio.StreamWriter, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)

    async def _complete(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.status != 200:
            self._answer(writer, self.status, {"error": {"message": self.error, "type": "x"}})
            return
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        gone = asyncio.create_task(reader.read(1))
        try:
            for event in self.events:
                if isinstance(event, float):
                    await asyncio.wait([gone], timeout=event)
                    if gone.done():
                        self.disconnected.set()
                        raise ConnectionError
                    continue
                data = event if isinstance(event, bytes) else f"data: {event}\n\n".encode()
                writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                await writer.drain()
            if not self.broken:
                writer.write(b"0\r\n\r\n")
        finally:
            gone.cancel()
            await asyncio.wait([gone])
