"""Wyoming, the protocol of Home Assistant's speech servers: a connection, and what a server offers.

Each use has a connection of its own: wyoming-faster-whisper and others close theirs after one transcript,
and a cancelled use has no other word to stop a server with. On a LAN it is there within a millisecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from app.engines.errors import EngineError, EngineTimeout, EngineUnavailable
from app.engines.quotation import quotation
from app.engines.wyoming_events import Event, ProtocolError, Unpacker, pack

_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Address:
    """A server, for the engine called ``engine``; ``setting`` is the variable that names it."""

    engine: str
    setting: str
    host: str
    port: int
    timeout_seconds: float

    @classmethod
    def of(cls, engine: str, setting: str, url: str, timeout_seconds: float) -> Address:
        """Raises ``EngineUnavailable`` for what is no tcp://HOST:PORT."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
            (host or "").encode("idna")  # as the connection will: no label is empty, or of more than 63 signs
        except ValueError:
            host = port = None
        if not host or not port or parts.scheme != "tcp":
            told = "no server named" if not url else "it names no server"
            raise EngineUnavailable(engine, f"{told}; set {setting} to tcp://HOST:PORT")
        return cls(engine, setting, host, port, timeout_seconds)

    def __str__(self) -> str:
        return f"tcp://{self.host}:{self.port}"

    def silent(self) -> EngineTimeout:
        """The error of a server from which nothing came for ``timeout_seconds``."""
        return EngineTimeout(self.engine, f"nothing from the server for {self.timeout_seconds:g} s")

    def reported(self, event: Event, private: str) -> str:
        """What an ``error`` of the server says, unless it repeats ``private``."""
        return f"the server reports: {quotation(event.text('text'), private) or 'an error'}"


class Link:
    """One connection."""

    def __init__(self, address: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._address, self._reader, self._writer = address, reader, writer
        self._unpacker = Unpacker()

    def send(self, *events: Event) -> None:
        """Send without waiting; what is sent to a connection that is gone is dropped."""
        if not self._writer.is_closing():
            self._writer.write(b"".join(map(pack, events)))

    async def ready(self) -> bool:
        """Wait until the server has read most of what was sent; whether it is still there.

        Why it is not, ``events`` tells.
        """
        try:
            await self._writer.drain()
        except OSError:
            return False
        return not self._writer.is_closing()

    async def events(self) -> AsyncGenerator[Event, None]:
        """What the server sends, until it closes the connection. Raises ``EngineError``."""
        try:
            while data := await self._reader.read(_READ_BYTES):
                for event in self._unpacker.feed(data):
                    yield event
        except ProtocolError as error:
            problem = f"the server sent {error}, which is no Wyoming; check {self._address.setting}"
            raise EngineError(self._address.engine, problem, retryable=False) from None
        except OSError as error:
            problem = f"the connection broke ({type(error).__name__})"
            raise EngineError(self._address.engine, problem) from None

    def close(self) -> None:
        """Close at once, whatever is under way."""
        self._writer.transport.abort()


@asynccontextmanager
async def connected(address: Address) -> AsyncIterator[Link]:
    """A connection, closed in the end. Raises ``EngineError`` when there is none."""
    try:
        async with asyncio.timeout(address.timeout_seconds):
            reader, writer = await asyncio.open_connection(address.host, address.port)
    except OSError:  # a timeout is one
        raise EngineError(address.engine, "no connection to the server") from None
    link = Link(address, reader, writer)
    try:
        yield link
    finally:
        link.close()


async def describe(address: Address) -> Event:
    """What the server says that it offers. Raises ``EngineUnavailable``: retryable when it is not reached."""
    try:
        async with connected(address) as link, asyncio.timeout(address.timeout_seconds):
            link.send(Event("describe"))
            async with aclosing(link.events()) as events:
                async for event in events:
                    if event.kind == "info":
                        return event
    except TimeoutError:
        problem = f"{address}: it does not say what it offers; check {address.setting}"
        raise EngineUnavailable(address.engine, problem, retryable=True) from None
    except EngineError as error:
        problem = f"{address}: {error.message}"
        told = "" if address.setting in problem else f"; check {address.setting}"
        raise EngineUnavailable(address.engine, problem + told, retryable=error.retryable) from None
    problem = f"{address}: it closes the connection before it says what it offers; check {address.setting}"
    raise EngineUnavailable(address.engine, problem)


@dataclass(frozen=True, slots=True)
class Offer:
    """A model or a voice that a server offers, with its languages as the server writes them."""

    name: str
    title: str
    languages: tuple[str, ...]


def offers(info: Event, domain: str, kind: str) -> tuple[Offer, ...]:
    """What is installed, each name once: ``models`` of ``asr``, ``voices`` of ``tts``."""
    found: dict[str, Offer] = {}
    for program in _objects(info.data.get(domain)):
        for entry in _objects(program.get(kind)):
            name, title, languages = (entry.get(key) for key in ("name", "description", "languages"))
            if isinstance(name, str) and name and entry.get("installed") is not False:
                listed = languages if isinstance(languages, list) else []
                known = tuple(language for language in listed if isinstance(language, str) and language)
                found.setdefault(name, Offer(name, title if isinstance(title, str) else "", known))
    return tuple(found.values())


def offers_any(info: Event, domain: str) -> bool:
    """Whether the server has a program of this domain."""
    return bool(_objects(info.data.get(domain)))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
