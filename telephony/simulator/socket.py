"""The carrier's WebSocket: the ``websockets`` protocol core on an asyncio transport.

The core is driven directly because one process holds hundreds of calls: sending 20 ms costs no task
switch, and messages are handed over by a callback in the order and at the time they arrive.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from telephony.errors import CarrierError

MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes of one message from the server; ten minutes of audio in base64 are 6.4 MB."""

CLOSE_SECONDS = 2.0
"""How long the server may take to finish the closing handshake before the connection is cut."""


class UpgradeRefused(CarrierError):
    """The server did not open the media socket. ``status``: its HTTP status, 0 without an answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Closed:
    """How a socket ended: the code of the server's close frame, 1006 without one."""

    code: int
    reason: str


class MediaSocket(asyncio.Protocol):
    """One open connection. ``on_message`` gets text as ``bytes``, anything else as None."""

    def __init__(
        self,
        core: ClientProtocol,
        on_message: Callable[[bytes | None], None],
        on_closed: Callable[[Closed], None],
    ) -> None:
        self._core = core
        self._on_message = on_message
        self._on_closed = on_closed
        self._transport: asyncio.Transport | None = None
        self._fragments: list[bytes] = []
        self._text = False
        self._cut: asyncio.TimerHandle | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, message: str) -> None:
        """Send a text message; after the end it goes nowhere."""
        if self._core.state is State.OPEN:
            self._core.send_text(message.encode())
            self._flush()

    def close(self, code: int = 1000) -> None:
        """Begin the closing handshake; ``on_closed`` follows."""
        if self._core.state is State.OPEN:
            self._core.send_close(code)
            self._flush()
        self._end_soon()

    def abort(self) -> None:
        """Cut the connection without a close frame."""
        if self._transport is not None:
            self._transport.abort()

    def stop_reading(self) -> None:
        """Read nothing until ``read_again``: the server's writes pile up, as with a stalled network."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def read_again(self) -> None:
        """End a stall."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    @property
    def unsent(self) -> int:
        """Bytes that the server has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the upgrade request."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Hand over what is complete."""
        core = self._core
        core.receive_data(data)
        events = core.events_received()
        self._flush()
        for event in events:
            if isinstance(event, Frame):
                self._frame(event)
            elif isinstance(event, Response):
                self._answered()
        if core.close_expected():
            self._end_soon()

    def eof_received(self) -> None:
        """The server closed the connection."""
        self._core.receive_eof()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end, once."""
        if self._cut is not None:
            self._cut.cancel()
        if self._core.state is not State.CLOSED:
            with contextlib.suppress(EOFError):
                self._core.receive_eof()
        if not self.opened.done():
            self.opened.set_exception(
                UpgradeRefused("the connection was closed before the upgrade was answered")
            )
            return
        code = self._core.close_code
        self._on_closed(Closed(1006 if code is None else int(code), self._core.close_reason or ""))

    def _answered(self) -> None:
        error = self._core.handshake_exc
        if self.opened.done():
            return
        if error is None:
            self.opened.set_result(None)
            return
        status = error.response.status_code if isinstance(error, InvalidStatus) else 0
        detail = f"HTTP {status}" if status else str(error)
        self.opened.set_exception(UpgradeRefused(f"the upgrade was answered with {detail}", status))

    def _frame(self, frame: Frame) -> None:
        if frame.opcode in {Opcode.TEXT, Opcode.BINARY}:
            self._text = frame.opcode is Opcode.TEXT
            self._fragments.clear()
        elif frame.opcode is not Opcode.CONT:
            return
        if frame.fin and not self._fragments:
            self._on_message(bytes(frame.data) if self._text else None)
            return
        self._fragments.append(bytes(frame.data))
        if frame.fin:
            message = b"".join(self._fragments)
            self._fragments.clear()
            self._on_message(message if self._text else None)

    def _flush(self) -> None:
        transport = self._transport
        if transport is None:
            return
        for data in self._core.data_to_send():
            if data:
                transport.write(data)
            elif transport.can_write_eof():
                transport.write_eof()

    def _end_soon(self) -> None:
        if self._cut is None:
            self._cut = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.abort)


async def open_socket(
    url: str,
    headers: Mapping[str, str],
    on_message: Callable[[bytes | None], None],
    on_closed: Callable[[Closed], None],
    *,
    via: str = "",
    offer_deflate: bool = False,
    verify_tls: bool = True,
    open_seconds: float = 10.0,
) -> MediaSocket:
    """Open a media socket. ``via`` is an http(s) origin to connect to in place of the URL's own.

    Raises ``UpgradeRefused`` when there is no 101 within ``open_seconds``.
    """
    extensions = [ClientPerMessageDeflateFactory()] if offer_deflate else None
    core = ClientProtocol(parse_uri(url), extensions=extensions, max_size=MAX_MESSAGE)
    request = core.connect()
    for name, value in headers.items():
        request.headers[name] = value
    core.send_request(request)
    parts = urlsplit(via or url)
    secure = parts.scheme in {"https", "wss"}
    socket = MediaSocket(core, on_message, on_closed)
    try:
        async with asyncio.timeout(open_seconds):
            await asyncio.get_running_loop().create_connection(
                lambda: socket,
                parts.hostname or "",
                parts.port or (443 if secure else 80),
                ssl=_tls(verify=verify_tls) if secure else None,
                server_hostname=urlsplit(url).hostname if secure else None,
            )
            await socket.opened
    except TimeoutError as error:
        socket.abort()
        raise UpgradeRefused(f"{url} did not open within {open_seconds:.1f} s") from error
    except OSError as error:
        raise UpgradeRefused(f"{url} cannot be reached: {error}") from error
    except UpgradeRefused as error:
        socket.abort()
        raise UpgradeRefused(f"{url}: {error}", error.status) from error
    return socket


def _tls(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
