"""Messages between the process and its worker processes: a length, a kind, a body.

The worker's side is a plain blocking socket; this module imports nothing heavy, so that workers start fast.
"""

from __future__ import annotations

import select
import signal
import socket
import struct
import sys
from collections.abc import Iterator

HEADER = struct.Struct("<IB")  # bytes of the body, kind
READY = 0  # the worker has loaded what it needs
FAILED = 1  # it cannot: the body is a text for the operator

_READ_BYTES = 65_536


def pack(kind: int, body: bytes = b"") -> bytes:
    """One message, ready to send."""
    return HEADER.pack(len(body), kind) + body


class Unpacker:
    """Cuts a byte stream into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The messages that ``data`` completes, as kind and body."""
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= HEADER.size:
            length, kind = HEADER.unpack_from(self._buffer, start)
            end = start + HEADER.size + length
            if len(self._buffer) < end:
                break
            yield kind, bytes(self._buffer[start + HEADER.size : end])
            start = end
        del self._buffer[:start]


class Connection:
    """A worker's end: receives what its parent sends until the parent is gone."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._unpacker = Unpacker()
        self.open = True

    def send(self, kind: int, body: bytes = b"") -> None:
        """Send one message; blocks while the parent does not read. A parent that is gone is noticed later."""
        try:
            self._socket.sendall(pack(kind, body))
        except OSError:
            self.open = False

    def receive(self, timeout: float | None) -> list[tuple[int, bytes]]:
        """The messages that have come, after at most ``timeout`` seconds of waiting (``None``: no limit)."""
        if not self.open or not select.select([self._socket], [], [], timeout)[0]:
            return []
        try:
            data = self._socket.recv(_READ_BYTES)
        except OSError:
            data = b""
        self.open = bool(data)
        return list(self._unpacker.feed(data))


def connect() -> Connection:
    """The connection of a worker process, whose parent named the descriptor on the command line.

    A worker ends when its parent closes the connection, however the parent ends. Signals sent to the whole
    process group must not end it earlier: calls being drained still need it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return Connection(int(sys.argv[1]))
