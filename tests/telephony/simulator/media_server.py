"""A small agent behind a webhook and a media socket, to try the simulator on. Not the product.

It replies with a tone when the caller has been silent for 0.3 s, and clears when the caller has talked
over it for 0.2 s. ``python -m tests.telephony.simulator.media_server PORT`` runs it alone.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect

from telephony.media import g711, level

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FRAME = 160
LEAD = 0.2


def tone(seconds: float) -> bytes:
    """A 440 Hz tone as mu-law."""
    time = np.arange(round(seconds * 8000)) / 8000
    return g711.encode((8000 * np.cos(2 * np.pi * 440 * time)).astype(np.int16))


class Stream:
    """One media socket, as an agent uses it."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.sid = ""
        self.messages: list[dict[str, Any]] = []
        self.arrivals: list[float] = []

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.socket.receive_text())
        self.messages.append(message)
        self.arrivals.append(perf_counter())
        if message["event"] == "start":
            self.sid = message["streamSid"]
        return message

    async def play(self, payload: bytes) -> None:
        body = {"payload": base64.b64encode(payload).decode()}
        await self.send({"event": "media", "streamSid": self.sid, "media": body})

    async def mark(self, name: str) -> None:
        await self.send({"event": "mark", "streamSid": self.sid, "mark": {"name": name}})

    async def clear(self) -> None:
        await self.send({"event": "clear", "streamSid": self.sid})

    async def send(self, message: dict[str, Any]) -> None:
        await self.socket.send_text(json.dumps(message))

    async def until(self, event: str) -> dict[str, Any]:
        while True:
            message = await self.receive()
            if message["event"] == event:
                return message


Agent = Callable[[Stream], Awaitable[None]]


async def conversation(stream: Stream, reply_seconds: float = 1.0) -> None:
    """Turn-taking by energy alone."""
    loud = quiet = 0
    heard = False
    speaking: asyncio.Task[None] | None = None
    turn = 0
    await stream.until("start")
    try:
        while True:
            message = await stream.receive()
            if message["event"] == "stop":
                return
            if message["event"] == "mark":
                speaking = None
            if message["event"] != "media":
                continue
            silent = level.is_quiet(base64.b64decode(message["media"]["payload"]))
            loud, quiet = (0, quiet + 1) if silent else (loud + 1, 0)
            if loud >= 10:
                heard = True
                if speaking is not None:
                    speaking.cancel()
                    speaking = None
                    await stream.clear()
            if heard and quiet == 15:
                heard = False
                turn += 1
                speaking = asyncio.create_task(speak(stream, f"turn-{turn}", reply_seconds))
    finally:
        if speaking is not None:
            speaking.cancel()


async def speak(stream: Stream, mark: str, seconds: float) -> None:
    """Audio in 60 ms messages, at most ``LEAD`` ahead."""
    audio = tone(seconds)
    began = perf_counter()
    for start in range(0, len(audio), 480):
        await asyncio.sleep(max(0.0, start / 8000 - LEAD - (perf_counter() - began)))
        await stream.play(audio[start : start + 480])
    await stream.mark(mark)


@dataclass
class MediaServer:
    """The server's state: what it answers, and what it was sent."""

    agent: Agent = conversation
    twiml: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    forms: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    headers: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    status: int = 200
    refuse: bool = False
    origin: str = ""
    connected: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def webhook(self) -> str:
        return f"{self.origin}/voice"

    def document(self) -> str:
        if self.twiml:
            return self.twiml.replace("WS", self.origin.replace("http", "ws")).replace("HTTP", self.origin)
        media = f"{self.origin.replace('http', 'ws')}/media"
        return (
            f'<Response><Connect><Stream url="{media}"><Parameter name="token" value="t-1"/>'
            "</Stream></Connect></Response>"
        )

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/{path:path}")
        async def hook(path: str, request: Request) -> Response:
            form = {name: str(value) for name, value in (await request.form()).items()}
            self.forms.append((path, form))
            self.headers.append((path, dict(request.headers)))
            if path == "voice":
                return Response(self.document(), status_code=self.status, media_type="text/xml")
            answer = self.answers.get(path, "<Response/>")
            return Response(answer.replace("WS", self.origin.replace("http", "ws")), media_type="text/xml")

        @app.websocket("/media")
        async def media(socket: WebSocket) -> None:
            self.headers.append(("media", dict(socket.headers)))
            if self.refuse:
                await socket.close()
                return
            await socket.accept()
            stream = Stream(socket)
            self.streams.append(stream)
            self.connected.set()
            with suppress(WebSocketDisconnect):
                await self.agent(stream)
                with suppress(RuntimeError):
                    await socket.close()

        return app


@asynccontextmanager
async def serve(server: MediaServer, port: int = 0) -> AsyncIterator[MediaServer]:
    """Run a server in this loop."""
    config = uvicorn.Config(
        server.app(),
        port=port,
        log_level="warning",
        ws="websockets-sansio",
        lifespan="off",
        ws_ping_interval=None,
    )
    runner = uvicorn.Server(config)
    config.load()
    runner.lifespan = config.lifespan_class(config)
    await runner.startup()
    bound = runner.servers[0].sockets[0].getsockname()[1]
    server.origin = f"http://127.0.0.1:{bound}"
    try:
        yield server
    finally:
        runner.should_exit = True
        await runner.shutdown()


async def _alone(port: int) -> None:
    async with serve(MediaServer(agent=lambda stream: conversation(stream, 8.8)), port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    with suppress(KeyboardInterrupt):
        uvloop.run(_alone(int(sys.argv[1])))
