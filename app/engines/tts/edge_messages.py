"""What is said to Microsoft Edge's speech service, with the ``edge-tts`` package's own builders and parsers.

The package, LGPL-3, opens a connection for every phrase; only its messages are used here, so that one can be
opened ahead. It changes when the service does: what is missing in it is found in ``EdgeMessages.load``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from xml.sax.saxutils import escape, unescape

import orjson

from app.engines.errors import EngineError, EngineUnavailable

NAME = "edge"
_PART_BYTES = 4096  # of escaped text, which the service takes at once
_SOCKET_PATH, _LIST_PATH = "/edge/v1", "/voices/list"
_CONFIG = (
    "X-Timestamp:{timestamp}\r\n"
    "Content-Type:application/json; charset=utf-8\r\n"
    "Path:speech.config\r\n\r\n"
    '{{"context":{{"synthesis":{{"audio":{{"metadataoptions":{{'
    '"sentenceBoundaryEnabled":"false","wordBoundaryEnabled":"true"}},'
    '"outputFormat":"audio-24khz-48kbitrate-mono-mp3"}}}}}}}}\r\n'
)
_VOICE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]+)+")
_SURROGATES = re.compile("[\ud800-\udfff\ufffe\uffff]")  # no XML


@dataclass(frozen=True, slots=True)
class Audio:
    """A piece of the MP3 stream."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Word:
    """A word, and where it begins in its request's audio, in seconds."""

    text: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """All of the request has been sent."""


Event = Audio | Word | TurnEnd


@dataclass(frozen=True, slots=True)
class Prosody:
    """The service's name of a voice; percents and hertz above or below its normal ones."""

    voice: str
    rate_percent: int
    pitch_hz: int


class EdgeMessages:
    """The messages of the installed package."""

    def __init__(self) -> None:
        from edge_tts import communicate, constants  # noqa: PLC0415 - optional, and 0.2 s to load
        from edge_tts.data_classes import TTSConfig  # noqa: PLC0415
        from edge_tts.drm import DRM  # noqa: PLC0415
        from edge_tts.exceptions import SkewAdjustmentError  # noqa: PLC0415

        self._communicate: Any = communicate
        self._constants: Any = constants
        self._config: Any = TTSConfig
        self._drm: Any = DRM
        self._skew_error = SkewAdjustmentError

    @classmethod
    def load(cls) -> EdgeMessages:
        """Import the package and try each of its parts; 0.2 s, not for the event loop.

        Raises ``EngineUnavailable``.
        """
        try:
            messages = cls()
            messages._try()
        except ModuleNotFoundError:
            raise EngineUnavailable(
                NAME, "its library edge-tts is not installed; run 'make engines'"
            ) from None
        except (ImportError, AttributeError, TypeError, ValueError, EngineError) as error:
            message = (
                f"its library edge-tts {metadata.version('edge-tts')} differs from 7.3, which is known here "
                f"({type(error).__name__}: {error}); run 'make engines'"
            )
            raise EngineUnavailable(NAME, message) from None
        return messages

    def socket_url(self, url: str) -> str:
        """The address of a new connection. ``url``: another endpoint; empty: Microsoft's."""
        address = self._with_token(url or self._constants.WSS_URL)
        return f"{address}&ConnectionId={self._communicate.connect_id()}"

    def list_url(self, url: str) -> str:
        """The address of the list of voices: beside the endpoint, as Microsoft's is."""
        if not url:
            return self._with_token(self._constants.VOICE_LIST)
        parts = urlsplit(url)
        scheme = {"ws": "http", "wss": "https"}[parts.scheme]
        path = parts.path.rstrip("/").removesuffix(_SOCKET_PATH) + _LIST_PATH
        return self._with_token(urlunsplit((scheme, parts.netloc, path, parts.query, "")))

    def socket_headers(self) -> Mapping[str, str]:
        """The headers of a new connection."""
        headers: Mapping[str, str] = self._drm.headers_with_muid(self._constants.WSS_HEADERS)
        return headers

    def list_headers(self) -> Mapping[str, str]:
        """The headers for the list of voices."""
        headers: Mapping[str, str] = self._drm.headers_with_muid(self._constants.VOICE_HEADERS)
        return headers

    def correct_clock(self, refusal: Exception) -> bool:
        """Tokens hold the time: take the server's from its refusal. ``False``: it does not say."""
        try:
            self._drm.handle_client_response_error(refusal)
        except self._skew_error:
            return False
        return True

    def config(self) -> str:
        """The first message of a connection: words are marked, audio is MP3 of 24 kHz and 48 kbit/s."""
        return _CONFIG.format(timestamp=self._communicate.date_to_string())

    def is_voice(self, name: str) -> bool:
        """Whether this can be the name of a voice."""
        if not _VOICE.fullmatch(name):
            return False
        try:
            self._config(name, "+0%", "+0%", "+0Hz", "WordBoundary")
        except ValueError:
            return False
        return True

    def requests(self, phrase: str, prosody: Prosody) -> Iterator[str]:
        """The requests that speak a phrase, one after another; a long one has several."""
        text = escape(self._communicate.remove_incompatible_characters(_SURROGATES.sub(" ", phrase)))
        config = self._config(
            prosody.voice,
            f"{prosody.rate_percent:+d}%",
            "+0%",
            f"{prosody.pitch_hz:+d}Hz",
            "WordBoundary",
        )
        for part in self._communicate.split_text_by_byte_length(text, _PART_BYTES):
            yield self._communicate.ssml_headers_plus_data(
                self._communicate.connect_id(),
                self._communicate.date_to_string(),
                self._communicate.mkssml(config, part),
            )

    def read_text(self, message: str) -> list[Event]:
        """What a text message says. Raises ``EngineError``."""
        data = message.encode()
        length = data.find(b"\r\n\r\n")
        if length < 0:
            raise _nonsense("a message without headers")
        headers, body = self._split(data, length)
        match headers.get(b"Path"):
            case b"audio.metadata":
                return list(_words(body))
            case b"turn.end":
                return [TurnEnd()]
            case _:
                return []

    def read_binary(self, message: bytes) -> list[Event]:
        """The audio of a binary message; its last one has none. Raises ``EngineError``."""
        length = int.from_bytes(message[:2], "big")
        if length + 2 > len(message):
            raise _nonsense("a binary message shorter than its header")
        headers, data = self._split(message, length)
        if headers.get(b"Path") != b"audio" or headers.get(b"Content-Type", b"audio/mpeg") != b"audio/mpeg":
            raise _nonsense("a binary message that is no MP3")
        return [Audio(data)] if data else []

    def _split(self, message: bytes, length: int) -> tuple[Mapping[bytes, bytes], bytes]:
        try:
            headers, data = self._communicate.get_headers_and_data(message, length)
        except ValueError:
            raise _nonsense("a message without headers") from None
        return headers, data

    def _with_token(self, url: str) -> str:
        token = f"Sec-MS-GEC={self._drm.generate_sec_ms_gec()}"
        version = f"Sec-MS-GEC-Version={self._constants.SEC_MS_GEC_VERSION}"
        return f"{url}{'&' if '?' in url else '?'}{token}&{version}"

    def _try(self) -> None:
        for url in ("", "ws://127.0.0.1"):
            _ = self.socket_url(url), self.list_url(url)
        _ = self.socket_headers(), self.list_headers(), self.config()
        if not self.is_voice(self._constants.DEFAULT_VOICE):
            raise ValueError("its own voice is refused")
        (request,) = self.requests("a <b>", Prosody(self._constants.DEFAULT_VOICE, 0, 0))
        if "a &lt;b&gt;" not in request:
            raise ValueError("the text is not in the request")
        if self.read_text("X-RequestId:1\r\nPath:turn.end\r\n\r\n{}") != [TurnEnd()]:
            raise ValueError("a message is not understood")
        header = b"X-RequestId:1\r\nContent-Type:audio/mpeg\r\nPath:audio\r\n"
        if self.read_binary(len(header).to_bytes(2, "big") + header + b"\xff") != [Audio(b"\xff")]:
            raise ValueError("audio is not understood")


def _words(body: bytes) -> Iterator[Word]:
    try:
        for entry in orjson.loads(body)["Metadata"]:
            if entry["Type"] == "WordBoundary":
                data = entry["Data"]
                yield Word(unescape(data["text"]["Text"]), max(0, int(data["Offset"])) / 1e7)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise _nonsense("metadata that cannot be read") from None


def _nonsense(what: str) -> EngineError:
    return EngineError(
        NAME, f"the service sent {what}; see TRUNKLINE_ENGINES__EDGE__URL, or run 'make engines'"
    )
