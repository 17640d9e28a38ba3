"""Events of calls as bytes of a spool file, and back (pure).

A file is a row of records, and a record is a marker, the length of its payload (4 bytes), a CRC-32 of length
and payload (4 bytes), all little-endian, and the payload: JSON. The marker's first byte never occurs in
UTF-8, so that after a damaged record the next whole one can be found. Its last byte is the version of this
layout.

The payload names the event's class; fields that are not known are passed over, and those that are missing get
their defaults, so that files of an older or newer release can be read as far as the events are the same.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, get_args

import orjson
from pydantic import TypeAdapter

from app.calls.writing.rows import Entry
from app.voice.events import CallRecord

MARKER = b"\xf5TL\x01"
LONGEST = 16 * 1024 * 1024  # bytes of a payload; a turn of an hour's talk has 1 MB

_HEAD = struct.Struct("<4sII")
_LENGTH = struct.Struct("<I")
_STORED = "stored"
_KINDS: dict[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in get_args(CallRecord)}


class Unencodable(ValueError):
    """An event holds a value that JSON has no form for. The message names no value."""


@dataclass(slots=True)
class Contents:
    """What a file holds. ``stored``: all events up to this number are in the database, whatever else is here.

    ``damaged``: places that cannot be read, and records that cannot be understood. ``torn``: bytes at the end
    of a record that was never finished, as a killed process leaves them; that is no damage.
    """

    entries: list[Entry] = field(default_factory=list)
    stored: int = 0
    damaged: int = 0
    torn: int = 0


def encode(entry: Entry) -> bytes:
    """The record of an event. Raises ``Unencodable``."""
    event = entry.event
    try:
        payload = orjson.dumps({"n": entry.number, "k": type(event).__name__, "e": event})
    except (TypeError, ValueError):
        raise Unencodable(f"a {type(event).__name__} holds a value that cannot be written as JSON") from None
    if len(payload) > LONGEST:
        raise Unencodable(f"a {type(event).__name__} is longer than {LONGEST} bytes")
    return _record(payload)


def encode_stored(number: int) -> bytes:
    """The record that says: all events up to ``number`` are in the database."""
    return _record(orjson.dumps({"n": number, "k": _STORED}))


def decode(data: bytes) -> Contents:
    """All that can be read of a file's bytes, in order. Never raises."""
    contents = Contents()
    for begin, end, payload in _pieces(data):
        if payload is None:
            if end == len(data) and _is_torn(data[begin:]):
                contents.torn = end - begin
            else:
                contents.damaged += 1
        elif not _understand(payload, contents):
            contents.damaged += 1
    return contents


def _record(payload: bytes) -> bytes:
    return _HEAD.pack(MARKER, len(payload), _checksum(payload)) + payload


def _checksum(payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_LENGTH.pack(len(payload))))


def _pieces(data: bytes) -> Iterator[tuple[int, int, bytes | None]]:
    """The file as begin, end and payload; the payload of a piece that is no record is ``None``."""
    at = bad = 0  # ``bad``: where what cannot be read began
    while at < len(data):
        payload = _payload(data, at)
        if payload is None:
            at = data.find(MARKER, at + 1)
            if at < 0:
                break
            continue
        if bad < at:
            yield bad, at, None
        end = at + _HEAD.size + len(payload)
        yield at, end, payload
        at = bad = end
    if bad < len(data):
        yield bad, len(data), None


def _payload(data: bytes, at: int) -> bytes | None:
    if at + _HEAD.size > len(data):
        return None
    marker, length, checksum = _HEAD.unpack_from(data, at)
    begin = at + _HEAD.size
    if marker != MARKER or length > LONGEST or begin + length > len(data):
        return None
    payload = data[begin : begin + length]
    return payload if _checksum(payload) == checksum else None


def _is_torn(tail: bytes) -> bool:
    """Whether a file's unreadable end is the beginning of a record, or space that was never written."""
    if not tail.strip(b"\0"):
        return True
    if len(tail) < _HEAD.size:
        return tail.startswith(MARKER[: len(tail)])
    marker, length, _ = _HEAD.unpack_from(tail)
    whole = _HEAD.size + length
    # after a crash of the machine the file may have its length already, and zeros for what was not written
    return bool(marker == MARKER and length <= LONGEST and (whole > len(tail) or tail.endswith(b"\0")))


def _understand(payload: bytes, contents: Contents) -> bool:
    """Take a record's content; whether it was understood."""
    try:
        record = orjson.loads(payload)
        number, kind = int(record["n"]), record["k"]
        if kind == _STORED:
            contents.stored = max(contents.stored, number)
        else:
            contents.entries.append(Entry(number, _KINDS[kind].validate_python(record["e"])))
    except (ValueError, TypeError, KeyError):  # pydantic's ValidationError is a ValueError
        return False
    return True
