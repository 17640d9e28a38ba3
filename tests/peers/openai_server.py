"""A server of OpenAI's chat completions over a real socket, that misbehaves as told."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.peers.http_server import Client, HttpRequest, HttpServer, answer

DONE = "[DONE]"
BREAK = b""
"""Breaks the connection off."""


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
class OpenAIServer(HttpServer):
    """``events``: what a completion streams: a data text, seconds to wait, bytes as they are, ``BREAK``.

    Or what gives them for a request's body.
    """

    base = "/v1"

    events: Sequence[str | float | bytes] | Callable[[dict[str, Any]], Sequence[str | float | bytes]] = ()
    status: int = 200
    error: str = "an error"
    broken: bool = False  # close the connection in the middle of the stream
    models_status: int = 200
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    async def answer_to(self, request: HttpRequest, client: Client) -> bool:
        self.keys.append(request.headers.get("authorization", "").lower())
        if request.path.startswith("/v1/models"):
            await client.send(answer(self.models_status, b'{"object": "list", "data": []}'))
            return True
        self.requests.append(json.loads(request.body))
        await self.complete(client)
        return not self.broken

    async def complete(self, client: Client) -> None:
        if self.status != 200:
            error = {"error": {"message": self.error, "type": "x"}}
            await client.send(answer(self.status, json.dumps(error).encode()))
            return
        await client.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for event in self.events(self.requests[-1]) if callable(self.events) else self.events:
            if event == BREAK:
                client.abort()
                raise ConnectionError
            if isinstance(event, float):
                await client.pause(event)
            else:
                data = event if isinstance(event, bytes) else f"data: {event}\n\n".encode()
                await client.send_chunk(data)
        if not self.broken:
            await client.send_chunk(b"")
