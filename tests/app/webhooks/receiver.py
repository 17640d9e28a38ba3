"""A customer's system that answers as it is told to, over real HTTP."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


def answer(status: str, *headers: str, body: bytes = b"") -> bytes:
    """An HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(slots=True)
class Receiver:
    """``answers``: what to say, each once, then ``OK``; ``None``: nothing, until ``answer_all``."""

    answers: deque[bytes | None] = field(default_factory=deque)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0
    cut_off: int = 0
    _held: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/calls"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append((headers, body))
        said = self.answers.popleft() if self.answers else OK
        try:
            if said is None:
                self._held.append(writer)
                await reader.read()
            else:
                writer.write(said)
                await writer.drain()
        except ConnectionError:
            self.cut_off += 1
        writer.close()

    def answer_all(self) -> None:
        """Say ``OK`` to those that were told nothing."""
        for writer in self._held:
            writer.write(OK)


@asynccontextmanager
async def receiving(*answers: bytes | None) -> AsyncIterator[Receiver]:
    """A receiver that runs until the block ends."""
    receiver = Receiver(deque(answers))
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    async with server:
        yield receiver
