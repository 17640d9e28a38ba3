"""A real web server with Twilio's routes, and the far end's tools: signatures, sockets, messages."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect

from telephony.carriers.twilio.leg import SocketLimits
from telephony.carriers.twilio.signature import TwilioCredentials
from telephony.carriers.twilio.webhooks import TwilioCarrier, TwilioSettings
from telephony.events import HungUp, LegEvent
from telephony.ports import CallHandler, CallLeg

ACCOUNT = "AC" + "0" * 32
TOKEN = "12345"
SHARED_KEY = "shared-secret"
PUBLIC = "https://voice.example.com"
PUBLIC_SOCKET = "wss://voice.example.com"
LIMITS = SocketLimits(messages_per_second=500, start_seconds=1.0, idle_seconds=2.0, send_seconds=1.0)


class FakeHandler:
    """Implements ``CallHandler``: keeps what it is told, and lets a test act on the leg."""

    def __init__(self) -> None:
        self.admits = True
        self.goes_on: dict[str, str] = {}
        self.reserved: list[str] = []
        self.legs: list[CallLeg] = []
        self.events: list[LegEvent] = []
        self.notes: list[tuple[str, str, dict[str, Any]]] = []
        self.on_event: Callable[[CallLeg, LegEvent], None] = lambda leg, event: None

    def reserve(self, carrier_call_id: str) -> bool:
        if self.admits:
            self.reserved.append(carrier_call_id)
        return self.admits

    def onward(self, carrier_call_id: str) -> str:
        return self.goes_on.pop(carrier_call_id, "")

    async def handle(self, leg: CallLeg) -> None:
        self.legs.append(leg)

        def sink(event: LegEvent) -> None:
            self.events.append(event)
            self.on_event(leg, event)

        await leg.run(sink)

    def note(self, carrier_call_id: str, name: str, detail: Mapping[str, str | int | float | bool]) -> None:
        self.notes.append((carrier_call_id, name, dict(detail)))

    @property
    def causes(self) -> list[str]:
        return [str(event.cause) for event in self.events if isinstance(event, HungUp)]

    async def saw(self, condition: Callable[[], bool], seconds: float = 3.0) -> None:
        """Wait until the handler has seen something."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)


def call_sid() -> str:
    return "CA" + secrets.token_hex(16)


def sign(
    url: str, params: Mapping[str, str | Sequence[str]], key: str = TOKEN, algorithm: str = "sha1"
) -> str:
    """Twilio's signature, written down from its documents, not taken from its library."""
    text = url
    for name in sorted(params):
        values = params[name]
        for value in [values] if isinstance(values, str) else sorted(set(values)):
            text += name + value
    return base64.b64encode(hmac.new(key.encode(), text.encode(), algorithm).digest()).decode()


@dataclass
class FarEnd:
    """Twilio, as far as this server can tell."""

    base: str
    handler: FakeHandler
    carrier: TwilioCarrier
    client: httpx.AsyncClient

    async def post(
        self,
        route: str,
        params: Mapping[str, str | Sequence[str]],
        *,
        signature: str | None = None,
        target: str = "",
        headers: Mapping[str, str] | None = None,
        shuffle: bool = False,
    ) -> httpx.Response:
        """A signed form POST; ``target`` adds a query."""
        fields: dict[str, str | Sequence[str]] = {"AccountSid": ACCOUNT, **params}
        url = f"{PUBLIC}/voice/twilio/{route}{target}"
        pairs = [
            (name, value)
            for name, values in fields.items()
            for value in ([values] if isinstance(values, str) else values)
        ]
        body = urlencode(pairs[::-1] if shuffle else pairs, quote_via=quote)
        given = sign(url, fields) if signature is None else signature
        sent: dict[str, str | bytes] = {
            "Content-Type": "application/x-www-form-urlencoded",
            **(headers or {}),
        }
        if given:
            sent["X-Twilio-Signature"] = given.encode()
        return await self.client.post(
            f"{self.base}/voice/twilio/{route}{target}",
            content=body,
            headers=[
                (name.encode(), value if isinstance(value, bytes) else value.encode())
                for name, value in sent.items()
            ],
        )

    async def ring(self, sid: str = "") -> tuple[str, str]:
        """The voice webhook for a fresh call; returns its CallSid and token."""
        sid = sid or call_sid()
        answer = await self.post(
            "incoming", {"CallSid": sid, "From": "+15550100001", "To": "+15550100000", "Direction": "inbound"}
        )
        assert answer.status_code == 200, answer.text
        return sid, token_of(answer.text)

    @asynccontextmanager
    async def socket(
        self, *, signature: str | None = None, **options: Any
    ) -> AsyncIterator[ClientConnection]:
        """An upgrade, signed unless told otherwise."""
        given = sign(f"{PUBLIC_SOCKET}/media/twilio", {}) if signature is None else signature
        headers = {"x-twilio-signature": given} if given else {}
        options = {"compression": None, "open_timeout": 5, "close_timeout": 1, **options}
        url = self.base.replace("http", "ws") + "/media/twilio"
        async with connect(url, additional_headers=headers, **options) as socket:
            yield socket

    @asynccontextmanager
    async def stream(self, **changes: Any) -> AsyncIterator[Stream]:
        """A whole answered call up to ``start``."""
        sid, token = await self.ring()
        async with self.socket() as socket:
            stream = Stream(socket, sid, token)
            await stream.begin(**changes)
            await self.handler.saw(lambda: any(leg.info.carrier_call_id == sid for leg in self.handler.legs))
            yield stream


@dataclass
class Stream:
    """The far end of one media socket."""

    socket: ClientConnection
    call_sid: str
    token: str
    sid: str = "MZ" + "1" * 32
    sequence: int = 0

    async def send(self, event: str, **fields: Any) -> None:
        self.sequence += 1
        message = {"event": event, "sequenceNumber": str(self.sequence), "streamSid": self.sid, **fields}
        await self.socket.send(json.dumps(message))

    async def begin(self, **changes: Any) -> None:
        """``connected`` and ``start``; ``changes`` replace fields of the start object."""
        await self.socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        start = {
            "streamSid": self.sid,
            "accountSid": ACCOUNT,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": self.token},
        }
        await self.send("start", start=start | changes)

    async def media(self, payload: bytes, timestamp: int = 0, **fields: Any) -> None:
        media = {
            "track": "inbound",
            "chunk": str(self.sequence),
            "timestamp": str(timestamp),
            "payload": base64.b64encode(payload).decode(),
        }
        await self.send("media", media=media | fields)

    async def received(self) -> dict[str, Any]:
        async with asyncio.timeout(3):
            message: dict[str, Any] = json.loads(await self.socket.recv())
            return message


def token_of(document: str) -> str:
    parameter = ElementTree.fromstring(document).find(".//Parameter")
    assert parameter is not None
    return parameter.attrib["value"]


def body_hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@asynccontextmanager
async def serving(handler: CallHandler, **changes: Any) -> AsyncIterator[tuple[str, TwilioCarrier]]:
    """The routes on a real server with the product's own socket options."""
    settings = TwilioSettings(
        credentials=TwilioCredentials(ACCOUNT, TOKEN, {"key1": SHARED_KEY}),
        origin=PUBLIC,
        token_seconds=60.0,
        fallback_number="",
        busy_sentence=lambda: "All lines are busy.",
        limits=LIMITS,
    )
    carrier = TwilioCarrier(replace(settings, **changes), handler)
    app = Starlette(routes=carrier.routes())
    app.router.redirect_slashes = False
    config = uvicorn.Config(
        app,
        port=0,
        ws="websockets-sansio",
        ws_max_size=65_536,
        ws_per_message_deflate=False,
        lifespan="off",
        log_level="error",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(server._serve())
        while not server.started:
            await asyncio.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}", carrier
        finally:
            server.should_exit = True
            await running


@pytest.fixture
async def far_end(request: pytest.FixtureRequest) -> AsyncIterator[FarEnd]:
    """Twilio and a server; parametrise indirectly to change the server's ``TwilioSettings``."""
    handler = FakeHandler()
    changes = getattr(request, "param", {})
    async with serving(handler, **changes) as (base, carrier), httpx.AsyncClient(trust_env=False) as client:
        yield FarEnd(base, handler, carrier, client)
