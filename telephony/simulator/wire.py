"""The messages of Twilio Media Streams, from the carrier's side: build theirs, read ours.

Pure. What Twilio sends has its numbers as strings and its sequence numbers from 1 with ``start``.
What it receives is judged as Twilio judges it: an invalid message is a warning and the call goes on,
a frame that is not text ends the stream.

Source: Twilio, "Media Streams - WebSocket Messages"; error and warning codes 31921-31951.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import orjson

from telephony.media import g711
from telephony.media.frame import FRAME_SAMPLES, Samples

INVALID_MESSAGE = 31951
"""Twilio's warning: not JSON, an unknown event, a missing or an extra field, a wrong streamSid."""

BUFFER_OVERFLOW = 31931
"""Twilio's warning: more than ten minutes of audio queued."""

PROTOCOL_ERROR = 31924
"""Twilio's error: something that is not a text message. The stream ends."""

HANDSHAKE_ERROR = 31920
"""Twilio's error: the upgrade was answered with anything but 101."""

NOT_PLAYABLE = 0
"""No code at Twilio, which would play it as noise: a WAV header, or padding with 0x00."""

_FIELDS: dict[str, tuple[str, str] | None] = {
    "media": ("media", "payload"),
    "mark": ("mark", "name"),
    "clear": None,
}
_ZERO_PADDING = b"\x00" * 8


@dataclass(frozen=True, slots=True)
class PlayAudio:
    """``media``: mu-law audio to queue. ``flaw`` says what is wrong with audio that is played anyway."""

    payload: bytes
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class PlaceMark:
    """``mark``: to be echoed once all before it has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class ClearAudio:
    """``clear``: drop what is queued."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """A message that Twilio rejects, with its code and what is wrong."""

    code: int
    reason: str


FromServer: TypeAlias = PlayAudio | PlaceMark | ClearAudio | Invalid


def read(message: str | bytes, stream_sid: str) -> FromServer:
    """One text message from the server. Never raises."""
    try:
        body = orjson.loads(message)
    except orjson.JSONDecodeError:
        return Invalid(INVALID_MESSAGE, "not JSON")
    if not isinstance(body, dict):
        return Invalid(INVALID_MESSAGE, "not a JSON object")
    event = body.get("event")
    if not isinstance(event, str) or event not in _FIELDS:
        return Invalid(INVALID_MESSAGE, f"unknown event {event!r}")
    if body.get("streamSid") != stream_sid:
        return Invalid(INVALID_MESSAGE, f"{event}: streamSid is {body.get('streamSid')!r}, not {stream_sid}")
    field = _FIELDS[event]
    if len(body) != (2 if field is None else 3):
        extra = sorted(body.keys() - {"event", "streamSid", event})
        return Invalid(INVALID_MESSAGE, f"{event}: unexpected or missing fields: {extra or event}")
    if field is None:
        return ClearAudio()
    return _read_field(body, *field)


def _read_field(body: dict[str, Any], event: str, name: str) -> FromServer:
    inner = body.get(event)
    if not isinstance(inner, dict):
        return Invalid(INVALID_MESSAGE, f"{event}: {event!r} is missing or not an object")
    value = inner.get(name)
    if not isinstance(value, str) or not value:
        return Invalid(INVALID_MESSAGE, f"{event}.{name} is missing, empty or not a string")
    if len(inner) != 1:
        return Invalid(INVALID_MESSAGE, f"{event}: fields beside {name!r}: {sorted(inner)}")
    if event == "mark":
        return PlaceMark(value)
    try:
        payload = binascii.a2b_base64(value, strict_mode=True)
    except (binascii.Error, ValueError):
        return Invalid(INVALID_MESSAGE, "media.payload is not base64")
    if payload.startswith(b"RIFF"):
        return PlayAudio(payload, "media.payload begins with a WAV header: it is played as noise")
    if payload.endswith(_ZERO_PADDING):
        return PlayAudio(payload, "media.payload ends in 0x00 bytes: full scale, not silence (0xFF)")
    return PlayAudio(payload)


def frame_payloads(samples: Samples) -> tuple[str, ...]:
    """Audio as base64 mu-law frames of 20 ms, the last one filled up with silence."""
    encoded = g711.encode(samples)
    encoded += bytes([g711.SILENCE]) * (-len(encoded) % FRAME_SAMPLES)
    return tuple(
        binascii.b2a_base64(encoded[i : i + FRAME_SAMPLES], newline=False).decode()
        for i in range(0, len(encoded), FRAME_SAMPLES)
    )


@lru_cache
def line_noise(level: float, frames: int = 50) -> tuple[str, ...]:
    """White noise of a level in dBFS (RMS) as base64 mu-law frames of 20 ms, always the same."""
    noise = np.random.default_rng(1).normal(0.0, 32768 * 10 ** (level / 20), frames * FRAME_SAMPLES)
    return frame_payloads(noise.astype(np.int16))


SILENT_FRAME = binascii.b2a_base64(bytes([g711.SILENCE]) * FRAME_SAMPLES, newline=False).decode()
"""20 ms of digital silence as base64 mu-law."""


class StreamWriter:
    """Builds the messages of one stream, counting as Twilio counts."""

    def __init__(self, stream_sid: str, call_sid: str, account_sid: str) -> None:
        self.stream_sid = stream_sid
        self._call_sid = call_sid
        self._account_sid = account_sid
        self._sequence = 0
        self._chunk = 0
        self._tail = f'"}},"streamSid":"{stream_sid}"}}'

    def connected(self) -> str:
        """The first message; it carries no sequence number."""
        return '{"event":"connected","protocol":"Call","version":"1.0.0"}'

    def start(self, parameters: Mapping[str, str]) -> str:
        """The second message, with the values of the TwiML's ``<Parameter>`` elements."""
        return self._numbered(
            "start",
            {
                "accountSid": self._account_sid,
                "streamSid": self.stream_sid,
                "callSid": self._call_sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": dict(parameters),
            },
        )

    def media(self, payload: str) -> str:
        """20 ms of the caller as base64. From a template: this runs 50 times a second a call."""
        self._sequence += 1
        self._chunk += 1
        return (
            f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound","chunk":'
            f'"{self._chunk}","timestamp":"{(self._chunk - 1) * 20}","payload":"{payload}{self._tail}'
        )

    def lose(self) -> None:
        """20 ms of the caller that are never sent: the media timestamps go on without them."""
        self._chunk += 1

    def dtmf(self, digit: str) -> str:
        """One key."""
        return self._numbered("dtmf", {"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> str:
        """The echo of a mark."""
        return self._numbered("mark", {"name": name})

    def stop(self) -> str:
        """The last message."""
        return self._numbered("stop", {"accountSid": self._account_sid, "callSid": self._call_sid})

    def _numbered(self, event: str, body: dict[str, Any]) -> str:
        self._sequence += 1
        return orjson.dumps(
            {
                "event": event,
                "sequenceNumber": str(self._sequence),
                event: body,
                "streamSid": self.stream_sid,
            }
        ).decode()
