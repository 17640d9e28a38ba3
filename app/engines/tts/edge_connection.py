"""Connections to Microsoft Edge's speech service: one opened ahead, so that the next phrase need not wait.

A connection takes DNS, TCP, TLS and an HTTP upgrade, four round trips, and serves one request. What the
service says to one that waits is its end. Errors name the host and the setting, never the address's tokens.
This module needs aiohttp, which comes with edge-tts: it is imported when the engine starts.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Any

import aiohttp

from app.engines.errors import EngineError, EngineTimeout, EngineUnavailable
from app.engines.quotation import shown_host
from app.engines.tts.edge_messages import NAME, EdgeMessages, Event
from app.engines.tts.voice_names import UnspokenError
from config.engines import EdgeSettings

URL = "TRUNKLINE_ENGINES__EDGE__URL"
_AHEAD_SECONDS = 30.0  # a connection waits at most so long for its phrase
_NEW_SECONDS = 0.5  # one opened so lately is not lost unseen
_MICROSOFT = "speech.platform.bing.com"
_NOT_UNDERSTOOD = 1007  # the code by which the service ends a request for a voice that it lacks


class _ConnectionLost(EngineError):
    """The service ended the connection."""


class EdgeSocket:
    """One connection, which can take one request.

    Its task waits for the first message, from the beginning: it shows a connection that was lost. It belongs
    to whoever closes the connection, and is awaited there.
    """

    def __init__(
        self, websocket: aiohttp.ClientWebSocketResponse, messages: EdgeMessages, where: str
    ) -> None:
        self._websocket, self._messages, self._where = websocket, messages, where
        self._opened = asyncio.get_running_loop().time()
        self._first: asyncio.Task[Any] | None = asyncio.create_task(websocket.receive(), name="edge waits")

    @property
    def age(self) -> float:
        """Seconds since it was opened."""
        return asyncio.get_running_loop().time() - self._opened

    @property
    def usable(self) -> bool:
        """Whether it is still worth sending a request on."""
        return self._first is not None and not self._first.done() and self.age < _AHEAD_SECONDS

    async def send(self, message: str) -> None:
        """Raises ``EngineError``."""
        try:
            await self._websocket.send_str(message)
        except (aiohttp.ClientError, OSError):
            raise self._broken() from None

    async def receive(self) -> list[Event]:
        """What the next message says; nothing for one without news. Raises ``EngineError``."""
        first, self._first = self._first, None
        try:
            message = await (first if first is not None else self._websocket.receive())
        except (aiohttp.ClientError, OSError):
            raise self._broken() from None
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                return self._messages.read_text(message.data)
            case aiohttp.WSMsgType.BINARY:
                return self._messages.read_binary(bytes(message.data))
            case _:
                raise self._broken()

    async def close(self) -> None:
        """Say goodbye without waiting for an answer."""
        first, self._first = self._first, None
        if first is not None:
            first.cancel()
            await asyncio.wait([first])
        await self._websocket.close()

    def _broken(self) -> EngineError:
        code = self._websocket.close_code
        message = f"{self._where} closed the connection before the phrase was spoken (code {code})"
        kind = UnspokenError if code == _NOT_UNDERSTOOD else _ConnectionLost
        return kind(NAME, message)


class EdgeConnections:
    """Opens connections and gives them to phrases.

    Its tasks are of the engine's life, not of a phrase's: they open and close what no phrase has. ``close``
    awaits them.
    """

    def __init__(self, settings: EdgeSettings, messages: EdgeMessages, trusted: ssl.SSLContext) -> None:
        self._url, self._seconds = settings.url, settings.timeout_seconds
        self._messages = messages
        self._where = shown_host(settings.url) or _MICROSOFT
        connector = aiohttp.TCPConnector(limit=0, ssl=trusted)
        timeout = aiohttp.ClientTimeout(total=self._seconds)
        self._session = aiohttp.ClientSession(connector=connector, trust_env=True, timeout=timeout)
        self._no_goodbye = aiohttp.ClientWSTimeout(
            ws_receive=None, ws_close=0.0
        )  # nobody waits for its answer
        self._ahead: deque[asyncio.Task[EdgeSocket]] = deque()
        self._expiring: set[asyncio.Task[None]] = set()
        self._expiry: asyncio.TimerHandle | None = None

    async def close(self) -> None:
        """Close all connections, those that phrases have included."""
        if self._expiry is not None:
            self._expiry.cancel()
        opening = [*self._ahead]
        self._ahead.clear()
        for task in opening:
            task.cancel()
        if self._expiring:
            await asyncio.wait(self._expiring)
        for task in opening:
            await self._discard(task)
        await self._session.close()

    def open_ahead(self) -> None:
        """Begin to open the next connection, unless one is there or on its way."""
        if self._session.closed or any(not task.done() or _usable(task) for task in self._ahead):
            return
        self._ahead.append(asyncio.create_task(self._open(), name="edge opens ahead"))
        if self._expiry is None:
            self._expiry = asyncio.get_running_loop().call_later(_AHEAD_SECONDS, self._expire)

    async def reach(self) -> None:
        """Wait for the connection that is being opened ahead. Raises ``EngineUnavailable``."""
        try:
            await asyncio.shield(self._ahead[0])
        except EngineUnavailable:
            raise
        except EngineError as error:
            raise EngineUnavailable(NAME, error.message, retryable=error.retryable) from None

    async def ask(self, request: str) -> tuple[EdgeSocket, list[Event]]:
        """Send a request; the connection it went by and the first thing said. Raises ``EngineError``.

        A connection opened ahead may have been lost unseen: then the request goes by a new one.
        """
        socket = await self._take()
        may_be_lost = socket.age > _NEW_SECONDS
        try:
            return await self._ask(socket, request)
        except _ConnectionLost:
            if not may_be_lost:
                raise
        return await self._ask(await self._open(), request)

    async def _ask(self, socket: EdgeSocket, request: str) -> tuple[EdgeSocket, list[Event]]:
        try:
            await socket.send(request)
            return socket, await socket.receive()
        except BaseException:
            await socket.close()
            raise

    async def _take(self) -> EdgeSocket:
        """A connection for one request; the next one is opened meanwhile. Raises ``EngineError``."""
        while self._ahead:
            task = self._ahead.popleft()
            if task.done() and not _usable(task):
                await self._discard(task)
                continue
            self.open_ahead()
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                if task.cancelled():  # by the engine's end, and not by whoever waits here
                    raise EngineError(NAME, "it was closed") from None
                self._ahead.appendleft(task)
                raise
        self.open_ahead()
        return await self._open()

    async def voices(self) -> bytes:
        """The list of voices, as the service sends it: JSON. Raises ``EngineError``."""
        for may_correct in (True, False):
            try:
                url = self._messages.list_url(self._url)
                async with self._running().get(
                    url, headers=self._messages.list_headers(), raise_for_status=True
                ) as answer:
                    return await answer.read()
            except (aiohttp.ClientError, OSError, ValueError) as error:
                if not (may_correct and self._clock_corrected(error)):
                    raise self._problem(error) from None
        raise AssertionError("the second try answers or fails")

    async def _open(self) -> EdgeSocket:
        """A connection that knows its format. Raises ``EngineError``."""
        for may_correct in (True, False):
            try:
                async with asyncio.timeout(self._seconds):
                    websocket = await self._connect()
            except (aiohttp.ClientError, OSError, ValueError) as error:
                if not (may_correct and self._clock_corrected(error)):
                    raise self._problem(error) from None
            else:
                return EdgeSocket(websocket, self._messages, self._where)
        raise AssertionError("the second try answers or fails")

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        websocket = await self._running().ws_connect(
            self._messages.socket_url(self._url),
            headers=self._messages.socket_headers(),
            compress=15,
            timeout=self._no_goodbye,
        )
        try:
            await websocket.send_str(self._messages.config())
        except BaseException:
            await websocket.close()
            raise
        return websocket

    def _running(self) -> aiohttp.ClientSession:
        """The session to connect with. Raises ``EngineError`` once it is closed."""
        if self._session.closed:
            raise EngineError(NAME, "it was closed")
        return self._session

    def _clock_corrected(self, error: Exception) -> bool:
        """Whether it was refused for a token of another time, and the next one has the service's time."""
        return getattr(error, "status", None) == 403 and self._messages.correct_clock(error)

    def _problem(self, error: Exception) -> EngineError:
        where = self._where
        match error:
            case TimeoutError():
                return EngineTimeout(NAME, f"no answer from {where} within {self._seconds:g} s; {_REACH}")
            case aiohttp.ClientResponseError(status=(401 | 403) as status):
                message = f"{where} refuses the connection ({status}): {_REFUSED}"
                return EngineUnavailable(NAME, message, retryable=True)  # it comes and goes with the service
            case aiohttp.ClientResponseError(status=(404 | 405 | 200) as status):
                return EngineUnavailable(NAME, f"{where} is no speech service of Edge ({status}); see {URL}")
            case aiohttp.ClientResponseError():
                return EngineError(NAME, f"{where} answers {error.status}; {_REACH}")
            case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
                return EngineUnavailable(
                    NAME, f"no trusted connection to {where}: its certificate; see {URL}"
                )
            case aiohttp.ClientConnectorDNSError():
                return EngineError(NAME, f"the host of {where} is not found; {_REACH}")
            case aiohttp.InvalidURL() | ValueError():
                return EngineUnavailable(NAME, f"{URL} is no address such as wss://host/path")
            case _:
                return EngineError(NAME, f"no connection to {where} ({type(error).__name__}); {_REACH}")

    def _expire(self) -> None:
        self._expiry = None
        for task in [task for task in self._ahead if task.done() and not _usable(task)]:
            self._ahead.remove(task)
            expiring = asyncio.create_task(self._discard(task), name="edge closes")
            self._expiring.add(expiring)
            expiring.add_done_callback(self._expiring.discard)
        if self._ahead:
            self._expiry = asyncio.get_running_loop().call_later(_AHEAD_SECONDS, self._expire)

    @staticmethod
    async def _discard(task: asyncio.Task[EdgeSocket]) -> None:
        """Close what was opened ahead; that it could not be opened is no news to anyone."""
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None:
            await task.result().close()


_REACH = f"check the network and the proxy's variable HTTPS_PROXY, or set {URL}"
_REFUSED = (
    "its tokens may have changed ('make engines' brings a newer edge-tts), or it does not serve this address"
)


def _usable(task: asyncio.Task[EdgeSocket]) -> bool:
    return not task.cancelled() and task.exception() is None and task.result().usable
