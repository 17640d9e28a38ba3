"""A server of HTTP over a real socket: reads requests; what it answers is up to who extends it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import ClassVar, Self


@dataclass(frozen=True)
class HttpRequest:
    """``headers`` by their names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Client:
    """Who asked: takes the answer, and may go away."""

    def __init__(self, writer: asyncio.StreamWriter, gone: asyncio.Task[bytes]) -> None:
        self._writer, self._gone = writer, gone

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def send_chunk(self, data: bytes) -> None:
        """Of a chunked answer; an empty one ends it."""
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def pause(self, seconds: float) -> None:
        """Raises ``ConnectionError`` when the client goes away meanwhile."""
        await asyncio.wait([self._gone], timeout=seconds)
        if self._gone.done():
            raise ConnectionError

    def abort(self) -> None:
        self._writer.transport.abort()


@dataclass
class HttpServer(ABC):
    """``connections``: so many were made; ``open``: are now. ``disconnected``: a client left in a pause."""

    base: ClassVar[str] = ""  # of the path in ``url``

    connections: int = field(default=0, init=False)
    open: int = field(default=0, init=False)
    disconnected: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    url: str = field(default="", init=False)

    @abstractmethod
    async def answer_to(self, request: HttpRequest, client: Client) -> bool:
        """Answer; ``False``: the connection is to be closed."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """It runs on a free port."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{self.base}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (entry.partition(": ") for entry in rest if entry)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        gone = asyncio.create_task(reader.read(1))
        try:
            return await self.answer_to(HttpRequest(line.split(" ")[1], headers, body), Client(writer, gone))
        except ConnectionError:
            if gone.done():
                self.disconnected.set()
            raise
        finally:
            gone.cancel()
            await asyncio.wait([gone])


def answer(status: int, body: bytes, kind: str = "application/json") -> bytes:
    """A whole answer."""
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body
