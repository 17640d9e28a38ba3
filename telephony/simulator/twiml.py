"""TwiML as the simulator understands it: one document to a list of verbs.

Pure. Element names are case-sensitive, as at Twilio. Source: Twilio, "TwiML for Programmable Voice".
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urljoin, urlsplit

from telephony.errors import RemoteProtocolError

MAX_BYTES = 64 * 1024
MAX_PARAMETER = 500
"""Characters of a parameter's name and value together."""


class TwimlError(RemoteProtocolError):
    """The document is not TwiML, or asks for what the simulator (or Twilio) does not do."""


@dataclass(frozen=True, slots=True)
class Connect:
    """``<Connect><Stream>``: a two-way media stream; then ``action``, or the next verb."""

    url: str
    parameters: dict[str, str] = field(default_factory=dict)
    name: str = ""
    action: str = ""
    method: str = "POST"
    status_callback: str = ""


@dataclass(frozen=True, slots=True)
class Say:
    """``<Say>``: text that the carrier speaks."""

    text: str


@dataclass(frozen=True, slots=True)
class Dial:
    """``<Dial>``: ring another number, then ``action``, or the next verb."""

    numbers: tuple[str, ...]
    action: str = ""
    method: str = "POST"
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class Pause:
    """``<Pause>``: seconds of silence."""

    length: float = 1.0


@dataclass(frozen=True, slots=True)
class Redirect:
    """``<Redirect>``: go on with another document."""

    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Hangup:
    """``<Hangup>``."""


@dataclass(frozen=True, slots=True)
class Reject:
    """``<Reject>``: never answered. ``reason`` is ``rejected`` or ``busy``."""

    reason: str = "rejected"


Verb: TypeAlias = Connect | Say | Dial | Pause | Redirect | Hangup | Reject


def read(document: str, base_url: str) -> tuple[Verb, ...]:
    """The verbs of a document fetched from ``base_url``. Raises ``TwimlError``."""
    if len(document.encode()) > MAX_BYTES:
        raise TwimlError(f"TwiML from {base_url} is larger than {MAX_BYTES} bytes (Twilio's error 11750)")
    if "<!DOCTYPE" in document or "<!ENTITY" in document:
        raise TwimlError(f"TwiML from {base_url} has a document type, which TwiML has not")
    try:
        root = ET.fromstring(document)  # noqa: S314 - no document type, so no entities
    except ET.ParseError as error:
        raise TwimlError(f"the answer of {base_url} is not XML: {error}") from error
    if root.tag != "Response":
        raise TwimlError(f"TwiML from {base_url} begins with <{root.tag}>; expected <Response>")
    return tuple(_verb(element, base_url) for element in root)


def _verb(element: ET.Element, base_url: str) -> Verb:
    reader = _READERS.get(element.tag)
    if reader is None:
        known = ", ".join(f"<{name}>" for name in sorted(_READERS))
        raise TwimlError(f"the simulator does not do <{element.tag}> (from {base_url}); it knows {known}")
    return reader(element, base_url)


def _connect(element: ET.Element, base_url: str) -> Connect:
    streams = list(element)
    if len(streams) != 1 or streams[0].tag != "Stream":
        raise TwimlError(f"<Connect> from {base_url} must hold exactly one <Stream>")
    stream = streams[0]
    url = urljoin(base_url.replace("http", "ws", 1), stream.get("url", ""))
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"} or not parts.hostname:
        raise TwimlError(f"<Stream url={stream.get('url')!r}> from {base_url} is not a WebSocket URL")
    if parts.query:
        raise TwimlError(f"<Stream url={url!r}>: Twilio supports no query string there; use <Parameter>")
    return Connect(
        url=url,
        parameters=_parameters(stream),
        name=stream.get("name", ""),
        action=_url(element, "action", base_url),
        method=element.get("method", "POST"),
        status_callback=_url(stream, "statusCallback", base_url),
    )


def _parameters(stream: ET.Element) -> dict[str, str]:
    parameters = {}
    for child in stream:
        name, value = child.get("name", ""), child.get("value", "")
        if child.tag != "Parameter" or not name:
            raise TwimlError(f"<Stream> may hold only <Parameter name value>, not <{child.tag}>")
        if len(name) + len(value) > MAX_PARAMETER:
            raise TwimlError(f"<Parameter name={name!r}> is longer than {MAX_PARAMETER} characters")
        parameters[name] = value
    return parameters


def _dial(element: ET.Element, base_url: str) -> Dial:
    text = (element.text or "").strip()
    numbers = ((text,) if text else ()) + tuple((child.text or "").strip() for child in element)
    if not numbers:
        raise TwimlError(f"<Dial> from {base_url} names no number")
    return Dial(
        numbers=numbers,
        action=_url(element, "action", base_url),
        method=element.get("method", "POST"),
        timeout=_number(element, "timeout", 30.0),
    )


def _redirect(element: ET.Element, base_url: str) -> Redirect:
    return Redirect(urljoin(base_url, (element.text or "").strip()), element.get("method", "POST"))


def _url(element: ET.Element, name: str, base_url: str) -> str:
    value = element.get(name, "")
    return urljoin(base_url, value) if value else ""


def _number(element: ET.Element, name: str, default: float) -> float:
    value = element.get(name)
    try:
        return default if value is None else float(value)
    except ValueError as error:
        raise TwimlError(f"<{element.tag} {name}={value!r}> is not a number") from error


_READERS: dict[str, Callable[[ET.Element, str], Verb]] = {
    "Connect": _connect,
    "Dial": _dial,
    "Hangup": lambda _element, _base: Hangup(),
    "Pause": lambda element, _base: Pause(_number(element, "length", 1.0)),
    "Redirect": _redirect,
    "Reject": lambda element, _base: Reject(element.get("reason", "rejected")),
    "Say": lambda element, _base: Say("".join(element.itertext()).strip()),
}
