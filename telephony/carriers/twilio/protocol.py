"""Twilio Media Streams, bidirectional: JSON text messages to events and back. No I/O.

Source: Twilio's "Media Streams - WebSocket messages". Numbers inside messages come as strings or as
numbers; unknown events and fields are to be expected and ignored.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

import orjson

from telephony.errors import LocalProtocolError, RemoteProtocolError
from telephony.events import AudioReceived, DtmfReceived, MarkPlayed
from telephony.media import g711
from telephony.media.frame import SAMPLE_RATE, Samples

_DIGITS = frozenset("0123456789*#ABCD")
_GAP = SAMPLE_RATE * 80 // 1000  # a later timestamp than this is lost audio, not jitter
_LONGEST_GAP = SAMPLE_RATE * 60  # a timestamp further off than this is nonsense


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """The carrier's ``start``: which call this socket carries, and the parameters our TwiML gave it."""

    stream_sid: str
    call_sid: str
    account_sid: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StreamStopped:
    """The carrier's ``stop``: the stream or the call ended."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that means nothing here. ``reason`` is one of a small fixed set, fit for a metric's label."""

    reason: str


StreamEvent: TypeAlias = StreamStarted | StreamStopped | AudioReceived | DtmfReceived | MarkPlayed | Ignored


class MediaStream:
    """One socket's conversation. Feed it messages with ``receive``; ask it for the messages to send."""

    def __init__(self) -> None:
        self.stream_sid = ""
        self._next_sample = 0
        self._clock_base: int | None = None  # the carrier's timestamp, in samples, of our sample 0

    def receive(self, message: str | bytes) -> StreamEvent:
        """The event that a text message holds.

        Raises:
            RemoteProtocolError: ``start`` announces audio that is not mu-law 8 kHz mono, or lacks its ids.
        """
        try:
            data = orjson.loads(message)
        except orjson.JSONDecodeError:
            return Ignored("not_json")
        if not isinstance(data, dict):
            return Ignored("not_an_object")
        event = data.get("event")
        if event == "media":
            return self._media(data)
        if event == "start":
            return self._start(data)
        if event == "connected":
            return Ignored("connected")
        if not isinstance(event, str) or event not in {"mark", "dtmf", "stop"}:
            return Ignored("unknown_event")
        wrong = self._not_of_this_stream(data)
        if wrong:
            return wrong
        if event == "stop":
            return StreamStopped()
        return _mark(data) if event == "mark" else _dtmf(data)

    def media(self, samples: Samples) -> str:
        """Queue audio. Any length."""
        payload = binascii.b2a_base64(g711.encode(samples), newline=False).decode("ascii")
        return f'{{"event":"media","streamSid":"{self._sid()}","media":{{"payload":"{payload}"}}}}'

    def mark(self, name: str) -> str:
        """Put a mark at the end of the queue."""
        return orjson.dumps({"event": "mark", "streamSid": self._sid(), "mark": {"name": name}}).decode()

    def clear(self) -> str:
        """Drop the queue; every pending mark comes back."""
        return f'{{"event":"clear","streamSid":"{self._sid()}"}}'

    def _sid(self) -> str:
        if not self.stream_sid:
            raise LocalProtocolError("nothing can be sent before the carrier's start message")
        return self.stream_sid

    def _start(self, data: dict[str, Any]) -> StreamEvent:
        if self.stream_sid:
            return Ignored("second_start")
        start = data.get("start")
        if not isinstance(start, dict):
            raise RemoteProtocolError("the start message has no start object")
        media = start.get("mediaFormat")
        if not isinstance(media, dict) or not _is_mulaw(media):
            raise RemoteProtocolError(
                "the stream's mediaFormat is not audio/x-mulaw 8000 Hz mono", close_code=1003
            )
        stream_sid = start.get("streamSid", data.get("streamSid"))
        call_sid, account_sid = start.get("callSid"), start.get("accountSid")
        if not (_is_sid(stream_sid) and _is_sid(call_sid) and _is_sid(account_sid)):
            raise RemoteProtocolError("the start message lacks streamSid, callSid or accountSid")
        given = start.get("customParameters")
        parameters = {str(k): str(v) for k, v in given.items()} if isinstance(given, dict) else {}
        self.stream_sid = stream_sid
        return StreamStarted(stream_sid, call_sid, account_sid, parameters)

    def _media(self, data: dict[str, Any]) -> StreamEvent:
        wrong = self._not_of_this_stream(data)
        if wrong:
            return wrong
        media = data.get("media")
        if not isinstance(media, dict):
            return Ignored("bad_media")
        if media.get("track", "inbound") != "inbound":
            return Ignored("other_track")
        payload = media.get("payload")
        if not isinstance(payload, str):
            return Ignored("bad_media")
        try:
            samples = g711.decode(binascii.a2b_base64(payload, strict_mode=True))
        except (binascii.Error, ValueError):
            return Ignored("bad_base64")
        if not len(samples):
            return Ignored("empty_media")
        at = self._position(media.get("timestamp"))
        self._next_sample = at + len(samples)
        return AudioReceived(samples, at)

    def _position(self, timestamp: object) -> int:
        """Where a payload begins on the media clock: after the last one, or later when audio was lost."""
        try:
            carrier = int(timestamp) * (SAMPLE_RATE // 1000)  # type: ignore[call-overload]
        except (TypeError, ValueError, OverflowError):
            return self._next_sample
        if self._clock_base is None:
            self._clock_base = carrier - self._next_sample
        ahead: int = carrier - self._clock_base - self._next_sample
        return self._next_sample + ahead if _GAP < ahead < _LONGEST_GAP else self._next_sample

    def _not_of_this_stream(self, data: dict[str, Any]) -> Ignored | None:
        if not self.stream_sid:
            return Ignored("before_start")
        if data.get("streamSid") != self.stream_sid:
            return Ignored("other_stream")
        return None


def _mark(data: dict[str, Any]) -> StreamEvent:
    mark = data.get("mark")
    name = mark.get("name") if isinstance(mark, dict) else None
    return MarkPlayed(name) if isinstance(name, str) else Ignored("bad_mark")


def _dtmf(data: dict[str, Any]) -> StreamEvent:
    dtmf = data.get("dtmf")
    digit = dtmf.get("digit") if isinstance(dtmf, dict) else None
    return DtmfReceived(digit) if isinstance(digit, str) and digit in _DIGITS else Ignored("bad_digit")


def _is_mulaw(media: dict[str, Any]) -> bool:
    rate, channels = str(media.get("sampleRate")), str(media.get("channels"))
    return media.get("encoding") == "audio/x-mulaw" and rate == "8000" and channels == "1"


def _is_sid(value: object) -> TypeGuard[str]:
    """An id that may stand inside a JSON string and a log line as it is."""
    return isinstance(value, str) and 0 < len(value) <= 64 and value.isascii() and value.isalnum()
