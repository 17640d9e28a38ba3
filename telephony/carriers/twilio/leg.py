"""One Media Streams socket as a ``CallLeg``: the I/O around ``protocol.MediaStream``."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import Counter
from starlette.websockets import WebSocket, WebSocketDisconnect

from telephony.carriers.twilio.protocol import Ignored, MediaStream, StreamStopped
from telephony.errors import HangupCause
from telephony.events import HungUp, LegEvent, MachineDetected
from telephony.media.frame import Samples
from telephony.ports import LegInfo

log = structlog.get_logger(__name__)

IGNORED = Counter("trunkline_twilio_messages_ignored", "Socket messages that were ignored", ["reason"])
CLOSED = Counter("trunkline_twilio_sockets_closed", "Sockets that we closed", ["reason"])

_CLOSE_SECONDS = 1.0
_ORDERLY = {1000, 1001}  # how a socket closes without "stop" when a call simply ends; a break shows as 1005


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """What one socket may do. Durations in seconds; ``message_bytes`` is enforced by the server."""

    messages_per_second: int
    start_seconds: float
    idle_seconds: float
    send_seconds: float


class MessageRate:
    """Counts messages and says when there were too many within one second; a call of the clock a second."""

    __slots__ = ("_count", "_limit", "_since")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._since = 0.0

    def exceeded(self, clock: Callable[[], float]) -> bool:
        """Count one message."""
        if self._count == 0:
            self._since = clock()
        self._count += 1
        if self._count <= self._limit:
            return False
        self._count = 0
        return clock() - self._since < 1.0


class TwilioLeg:
    """The caller's leg, from the carrier's ``start`` to the end of its socket."""

    def __init__(self, socket: WebSocket, stream: MediaStream, info: LegInfo, limits: SocketLimits) -> None:
        self._socket = socket
        self._stream = stream
        self._info = info
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._outbox: deque[tuple[bool, str]] = deque()  # (is media, message)
        self._wake = asyncio.Event()
        self._sending_since: float | None = None
        self._received = 0
        self._rate = MessageRate(limits.messages_per_second)
        self._cause: HangupCause | None = None
        self._close_code = 1000
        self._reading: asyncio.Timeout | None = None
        self._sink: Callable[[LegEvent], None] | None = None
        self._stream_failed = False

    @property
    def info(self) -> LegInfo:
        """Who is on this leg."""
        return self._info

    async def run(self, sink: Callable[[LegEvent], None]) -> None:
        """See ``CallLeg.run``."""
        self._sink = sink
        try:
            async with asyncio.TaskGroup() as tasks:
                helpers = (tasks.create_task(self._write()), tasks.create_task(self._watch()))
                await self._read(sink)
                for helper in helpers:
                    helper.cancel()
        finally:
            self._sink = None
            await self._close()
        sink(HungUp(self._cause or HangupCause.CARRIER_ERROR))

    def play(self, samples: Samples) -> None:
        """See ``CallLeg.play``."""
        self._queue(True, self._stream.media(samples))

    def mark(self, name: str) -> None:
        """See ``CallLeg.mark``."""
        self._queue(False, self._stream.mark(name))

    def clear(self) -> None:
        """See ``CallLeg.clear``. Audio not yet written is dropped here; its marks follow the ``clear``."""
        marks = [message for message in self._outbox if not message[0]]
        self._outbox.clear()
        self._outbox.append((False, self._stream.clear()))
        self._outbox.extend(marks)
        self._wake.set()

    def hang_up(self, cause: HangupCause) -> None:
        """See ``CallLeg.hang_up``."""
        self._end(cause, 1000)

    def machine_detected(self) -> None:
        """The carrier's machine detection: the greeting is over and it records."""
        if self._sink is not None and self._cause is None:
            self._sink(MachineDetected())

    def stream_failed(self) -> bool:
        """The carrier reported a stream error. True the first time: the call is to be redirected, once."""
        first, self._stream_failed = not self._stream_failed, True
        return first

    def _queue(self, is_media: bool, message: str) -> None:
        if self._cause is None:
            self._outbox.append((is_media, message))
            self._wake.set()

    def _end(self, cause: HangupCause, code: int, reason: str = "") -> None:
        if self._cause is not None:
            return
        self._cause, self._close_code = cause, code
        if reason:
            CLOSED.labels(reason).inc()
            log.warning("media socket closed", reason=reason, code=code)
        if self._reading is not None:
            self._reading.reschedule(self._loop.time())

    async def _read(self, sink: Callable[[LegEvent], None]) -> None:
        """Until the carrier or we end it. ``_end`` lets the timeout pass, which wakes the waiting receive."""
        receive, clock = self._socket.receive, self._loop.time
        try:
            async with asyncio.timeout(None) as self._reading:
                while self._cause is None:
                    message = await receive()
                    self._received += 1
                    if message["type"] == "websocket.disconnect":
                        code = message.get("code", 1005)
                        orderly = code in _ORDERLY
                        self._end(HangupCause.CALLER if orderly else HangupCause.CARRIER_ERROR, code)
                        break
                    if self._rate.exceeded(clock):
                        self._end(HangupCause.CARRIER_ERROR, 1008, "too_many_messages")
                        break
                    self._dispatch(message, sink)
        except TimeoutError:
            if self._cause is None:
                raise
        finally:
            self._reading = None

    def _dispatch(self, message: Any, sink: Callable[[LegEvent], None]) -> None:
        text = message.get("text")
        if text is None:
            IGNORED.labels("binary").inc()
            return
        event = self._stream.receive(text)
        if isinstance(event, Ignored):
            IGNORED.labels(event.reason).inc()
        elif isinstance(event, StreamStopped):
            self._end(HangupCause.CALLER, 1000)
        else:
            sink(event)  # type: ignore[arg-type]  # a second StreamStarted is never reported

    async def _write(self) -> None:
        outbox, send = self._outbox, self._socket.send
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while outbox:
                    message = {"type": "websocket.send", "text": outbox.popleft()[1]}
                    self._sending_since = self._loop.time()
                    await send(message)
                    self._sending_since = None
        except (WebSocketDisconnect, OSError):
            self._end(HangupCause.CARRIER_ERROR, 1006)

    async def _watch(self) -> None:
        """End a leg whose carrier stopped sending or reading; looks once a second."""
        seen, quiet_since = -1, self._loop.time()
        while True:
            await asyncio.sleep(1.0)
            now = self._loop.time()
            if self._received != seen:
                seen, quiet_since = self._received, now
            elif now - quiet_since > self._limits.idle_seconds:
                self._end(HangupCause.CARRIER_STALLED, 1008, "idle")
            if self._sending_since is not None and now - self._sending_since > self._limits.send_seconds:
                self._end(HangupCause.CARRIER_STALLED, 1008, "not_reading")

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._socket.close(self._close_code if self._close_code < 5000 else 1000)
        except (TimeoutError, RuntimeError, WebSocketDisconnect, OSError):
            CLOSED.labels("without_handshake").inc()  # the peer was gone, or does not read
