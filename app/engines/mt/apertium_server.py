"""Apertium behind HTTP: a server of apertium-apy, ``/listPairs`` and ``/translate``."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import httpx2
import orjson

from app.engines.errors import EngineError, EngineTimeout, EngineUnavailable, RequestRefused
from app.engines.http_client import environment_of
from app.engines.mt.apertium_pipeline import NAME
from app.engines.mt.apertium_text import modes, no_pair, unmark

_SETTING = "TRUNKLINE_ENGINES__APERTIUM__URL"
_SECONDS = 5.0  # for a whole answer
_IDLE_SECONDS = 300.0  # a connection is kept warm between phrases
_ANSWER_BYTES = 1 << 20
_QUOTED_CHARACTERS = 120  # of a server's own error text
_BROKEN = (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL)


class ApertiumServer:
    """Asks the server at ``url``, http://host:port."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client: httpx2.AsyncClient | None = None
        self._pairs: frozenset[str] = frozenset()

    async def start(self) -> None:
        """Ask for its pairs. Raises ``EngineUnavailable``: not reached, not such a server, or no pair."""
        if self._client is not None:
            return
        place = server_place(self._url)
        self._client = await asyncio.to_thread(_client, self._url)  # it reads certificates, 30 ms
        try:
            async with asyncio.timeout(_SECONDS):
                status, answer = await self._ask(self._client, "/listPairs", {})
        except (*_BROKEN, TimeoutError) as error:
            await self.close()
            raise EngineUnavailable(
                NAME, f"{place}: {_problem(error)}; start the server, or correct {_SETTING}", retryable=True
            ) from None
        except BaseException:
            await self.close()
            raise
        self._pairs = _pairs(answer)
        if status != 200 or not self._pairs:
            await self.close()
            raise EngineUnavailable(
                NAME,
                f"{place}/listPairs answers {status} without a pair of languages; set {_SETTING} to an "
                "apertium-apy server, http://host:port, that has a pair such as apertium-eng-spa",
            )

    async def close(self) -> None:
        """Close all connections; phrases being translated end with ``EngineError``."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def translate(self, piece: str, source: str, target: str) -> str:
        """The translation of a piece. Raises ``EngineError``, ``EngineTimeout``."""
        if self._client is None:
            raise EngineError(NAME, "it is not running")
        mode = next((name for name in modes(source, target) if name in self._pairs), None)
        if mode is None:
            raise RequestRefused(NAME, f"its server: {no_pair(source, target)}")
        form = {
            "langpair": mode.replace("-", "|"),
            "q": piece,
            "markUnknown": "no",
            "deformat": "txt",
            "reformat": "txt",
        }
        try:
            async with asyncio.timeout(_SECONDS):
                status, answer = await self._ask(self._client, "/translate", form)
        except (TimeoutError, httpx2.TimeoutException):
            raise EngineTimeout(NAME, f"nothing from its server for {_SECONDS:g} s") from None
        except _BROKEN as error:
            raise EngineError(NAME, _problem(error)) from None
        translated = _translated(answer)
        problem = f"its server answers {status}: {_explanation(answer)}"
        if status == 400:  # so apertium-apy answers for a pair that it has no more
            raise RequestRefused(NAME, problem)
        if status != 200 or translated is None:
            raise EngineError(NAME, problem, retryable=status >= 500)
        return unmark(translated)

    async def _ask(self, client: httpx2.AsyncClient, path: str, form: dict[str, str]) -> tuple[int, Any]:
        """The status and the JSON of an answer; ``None`` for what is no JSON or too long."""
        async with client.stream("POST", path, data=form) as response:
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > _ANSWER_BYTES:
                    return response.status_code, None
        try:
            return response.status_code, orjson.loads(bytes(body))
        except orjson.JSONDecodeError:
            return response.status_code, None


def _client(url: str) -> httpx2.AsyncClient:
    limits = httpx2.Limits(keepalive_expiry=_IDLE_SECONDS)
    with environment_of(NAME):
        return httpx2.AsyncClient(base_url=url, timeout=_SECONDS, limits=limits)


def server_place(url: str) -> str:
    """Where the server is, without a password. Raises ``EngineUnavailable``."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise EngineUnavailable(NAME, f"{_SETTING} must be a URL such as http://127.0.0.1:2737")
    return f"{parts.scheme}://{parts.hostname}{port}"


def _problem(error: Exception) -> str:
    match error:
        case httpx2.ConnectError():
            return "no connection to its server"
        case TimeoutError() | httpx2.TimeoutException():
            return f"nothing from its server for {_SECONDS:g} s"
        case _:
            return f"its server sent what is no HTTP ({type(error).__name__})"


def _pairs(answer: Any) -> frozenset[str]:
    """``eng-spa`` and so on, from what ``/listPairs`` sent, which may be anything."""
    listed = answer.get("responseData") if isinstance(answer, dict) else None
    return frozenset(
        f"{pair.get('sourceLanguage')}-{pair.get('targetLanguage')}"
        for pair in (listed if isinstance(listed, list) else ())
        if isinstance(pair, dict)
    )


def _translated(answer: Any) -> str | None:
    data = answer.get("responseData") if isinstance(answer, dict) else None
    text = data.get("translatedText") if isinstance(data, dict) else None
    return text if isinstance(text, str) else None


def _explanation(answer: Any) -> str:
    said = answer.get("explanation") if isinstance(answer, dict) else None
    return " ".join(said.split())[:_QUOTED_CHARACTERS] if isinstance(said, str) else "no translation"
