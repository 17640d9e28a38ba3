"""Wyoming's events as bytes: a line of JSON with a ``type`` and two lengths, so much JSON, so much payload.

As in github.com/OHF-Voice/wyoming, whose package takes any length that a server announces, and does not tell
a broken line from the end of the connection.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

_MOST_JSON = 4 * 1024 * 1024  # bytes of a line, or of an event's data; a list of all voices is 0.1 MB
_MOST_PAYLOAD = 32 * 1024 * 1024  # a minute of audio in one event is 11.5 MB


class ProtocolError(ValueError):
    """These bytes are not of the protocol."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; its data is what the server chose to send, so it is asked for by kind."""

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes = b""

    def text(self, name: str) -> str:
        """A text of its data; empty where there is none."""
        value = self.data.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int | None:
        """A whole number of its data."""
        value = self.data.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


def pack(event: Event) -> bytes:
    """An event as bytes."""
    data = json.dumps(event.data).encode() if event.data else b""
    head: dict[str, Any] = {"type": event.kind}
    if data:
        head["data_length"] = len(data)
    if event.payload:
        head["payload_length"] = len(event.payload)
    return b"".join((json.dumps(head).encode(), b"\n", data, event.payload))


class Unpacker:
    """Takes bytes, cut anywhere, and gives the events that are complete."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._head: tuple[Event, int, int] | None = (
            None  # what is known, and bytes of data and payload to come
        )

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that these bytes complete. Raises ``ProtocolError``."""
        self._held += data
        while (event := self._next()) is not None:
            yield event

    def _next(self) -> Event | None:
        self._head = self._head or self._read_head()
        if self._head is None:
            return None
        event, data_bytes, payload_bytes = self._head
        if len(self._held) < data_bytes + payload_bytes:
            return None
        data = dict(event.data)
        if data_bytes:
            data |= _object(bytes(self._held[:data_bytes]))
        payload = bytes(self._held[data_bytes : data_bytes + payload_bytes])
        del self._held[: data_bytes + payload_bytes]
        self._head = None
        return Event(event.kind, data, payload)

    def _read_head(self) -> tuple[Event, int, int] | None:
        end = self._held.find(b"\n")
        if (len(self._held) if end < 0 else end) > _MOST_JSON:
            raise ProtocolError("a line without an end")
        if end < 0:
            return None
        head = _object(bytes(self._held[:end]))
        del self._held[: end + 1]
        kind, data = head.get("type"), head.get("data") or {}
        if not isinstance(kind, str) or not isinstance(data, dict):
            raise ProtocolError("an event without a type")
        data_bytes = _length(head, "data_length", _MOST_JSON)
        return Event(kind, data), data_bytes, _length(head, "payload_length", _MOST_PAYLOAD)


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except ValueError:
        raise ProtocolError("a line that is no JSON") from None
    if not isinstance(found, dict):
        raise ProtocolError("a line that is no JSON object")
    return found


def _length(head: Mapping[str, Any], name: str, most: int) -> int:
    value = head.get(name) or 0
    if not isinstance(value, int) or not 0 <= value <= most:
        raise ProtocolError("an event of an impossible length")
    return value
