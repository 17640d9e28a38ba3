"""Brings the bytes of one source to this machine: resumed where it broke off, checked before they count."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2

from app.engines.http_client import environment_of
from app.engines.supply.catalogue import Source
from app.engines.supply.shelf import Fingerprint, difference

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes that there will be, where known."""

_TRIES = 4
_PAUSE_SECONDS = 1.0
_SECONDS = 30.0  # without a byte
_MOST_BYTES = 8 << 30  # of a file whose size nobody says
_HEX_64 = re.compile(r"[0-9a-f]{64}")


class NotDownloaded(Exception):
    """The bytes did not come, or are not what they should be. The message says why."""


class _BrokeOff(Exception):
    """Another try may bring the rest."""


@dataclass(frozen=True, slots=True)
class _Announced:
    """What the server says of the file: on Hugging Face, the hash and the size of a large one."""

    bytes: int | None
    sha256: str


def new_client() -> httpx2.Client:
    """A client that follows redirects and uses the proxies of the environment.

    Raises ``EngineUnavailable`` for those that cannot be used.
    """
    with environment_of("models fetch"):
        return httpx2.Client(follow_redirects=True, timeout=_SECONDS)


def download(client: httpx2.Client, source: Source, target: Path, progress: Progress) -> None:
    """Bring ``source`` to ``target``, beside which what came of a broken try stays as ``*.part``.

    Raises ``NotDownloaded``.
    """
    part = target.with_name(f"{target.name}.part")
    pinned = Fingerprint(source.bytes, source.sha256, source.md5)
    if pinned.known and not difference(part, pinned):
        part.replace(target)
        return
    problem = ""
    for number in range(_TRIES):
        if number:
            time.sleep(_PAUSE_SECONDS)
        resumed = part.exists()
        try:
            told = _transfer(client, source, part, progress)
        except _BrokeOff as error:
            problem = str(error)
            continue
        wrong = difference(part, told)
        if not wrong:
            part.replace(target)
            return
        part.unlink()
        if not resumed:
            named = wrong.replace(part.name, target.name)
            raise NotDownloaded(f"what came is not what should have come: {named}")
        problem = wrong  # the beginning was of another file
    raise NotDownloaded(problem)


def _transfer(client: httpx2.Client, source: Source, part: Path, progress: Progress) -> Fingerprint:
    """Bring what is missing of ``part``; what the whole must be. Raises ``NotDownloaded``, ``_BrokeOff``."""
    begun = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={begun}-"} if begun else {})
    try:
        with client.stream("GET", source.url, headers=headers) as response:
            told = _expected(source, response)
            begun = _begin_at(response, begun, part, told)
            _write(response, begun, part, told, progress)
    except httpx2.HTTPError as error:
        raise _failure(error, source) from None
    except httpx2.InvalidURL:
        raise NotDownloaded("it redirects to what is no URL") from None
    return told


def _begin_at(response: httpx2.Response, begun: int, part: Path, told: Fingerprint) -> int:
    """From which byte of the file the answer's body is. Raises ``NotDownloaded``, ``_BrokeOff``."""
    match response.status_code:
        case 200:
            return 0
        case 206 if told.known and response.headers.get("content-range", "").startswith(f"bytes {begun}-"):
            return begun
        case 206 | 416:
            part.unlink(missing_ok=True)
            raise _BrokeOff("the server does not go on where it broke off")
        case status if status in {408, 429} or status >= 500:
            raise _BrokeOff(f"the server answers {status}")
        case status:
            raise NotDownloaded(f"the server answers {status}")


def _write(response: httpx2.Response, begun: int, part: Path, told: Fingerprint, progress: Progress) -> None:
    length = response.headers.get("content-length", "")
    offered = begun + int(length) if length.isdecimal() else None
    if offered is not None and told.bytes is not None and offered != told.bytes:
        part.unlink(missing_ok=True)
        raise NotDownloaded(f"the server's file has {offered} bytes instead of {told.bytes}")
    total = told.bytes or offered
    there, most = begun, told.bytes or _MOST_BYTES
    with part.open("ab" if begun else "wb") as file:
        for chunk in response.iter_bytes():
            there += len(chunk)
            if there > most:
                part.unlink()
                raise NotDownloaded(f"the server sends more than the {most} bytes that there should be")
            file.write(chunk)
            progress(there, total)
    if total is not None and there < total:
        raise _BrokeOff(f"the server broke off after {there} of {total} bytes")


def _expected(source: Source, response: httpx2.Response) -> Fingerprint:
    """What the file must be: as the catalogue says, else as the server does. Raises ``NotDownloaded``."""
    announced = _announced(response)
    if source.sha256 and announced.sha256 and source.sha256 != announced.sha256:
        raise NotDownloaded(
            f"the server has another file, sha256 {announced.sha256}, than config/models.yaml names, "
            f"{source.sha256}"
        )
    size = source.bytes if source.bytes is not None else announced.bytes
    if source.sha256 or source.md5:
        return Fingerprint(size, source.sha256, source.md5)
    return Fingerprint(size, announced.sha256)


def _announced(response: httpx2.Response) -> _Announced:
    """The headers stand on the hub's own answer, which redirects to where the file is."""
    size, sha256 = None, ""
    for answer in (*response.history, response):
        tag = answer.headers.get("x-linked-etag", "").removeprefix("W/").strip('"').lower()
        if _HEX_64.fullmatch(tag):
            sha256 = tag
        length = answer.headers.get("x-linked-size", "")
        size = int(length) if length.isdecimal() else size
    return _Announced(size, sha256)


def _failure(error: httpx2.HTTPError, source: Source) -> Exception:
    host = httpx2.URL(source.url).host
    match error:
        case httpx2.ConnectError() | httpx2.ConnectTimeout() | httpx2.ProxyError():
            return NotDownloaded(
                f"no connection to {host} ({error})" if str(error) else f"no connection to {host}"
            )
        case httpx2.TooManyRedirects() | httpx2.UnsupportedProtocol():
            return NotDownloaded("it redirects in circles, or to what is no web server")
        case httpx2.TimeoutException():
            return _BrokeOff(f"nothing from {host} for {_SECONDS:g} s")
        case _:
            return _BrokeOff(f"the connection to {host} broke ({type(error).__name__})")
