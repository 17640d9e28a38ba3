"""The connection of a speech engine to its server of OpenAI's audio endpoints.

Asked with httpx2 alone: a transcription takes 1.0 ms of CPU, with the ``openai`` client 1.9 ms.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from app.engines.errors import EngineError
from app.engines.openai_client import NOT_NOW, OpenAIEndpoint

_ERROR_BYTES = 16 * 1024  # of an error's body that are read
_REFUSED = frozenset({401, 403, 404, 405})  # the key, or the place
_BROKEN = (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL)


class SpeechServer:
    """Requests to ``endpoint`` over connections that stay open."""

    def __init__(self, endpoint: OpenAIEndpoint) -> None:
        self.endpoint = endpoint
        self._client: httpx2.AsyncClient | None = None
        self._building = asyncio.Lock()

    async def start(self, path: str) -> None:
        """Ask ``path`` for nothing: finds a wrong URL or key at no charge. Raises ``EngineUnavailable``.

        A server that is there refuses the empty request as such (400, 422); which models it has, it is not
        asked: many servers list other names than those that they answer to.
        """
        if self._client is None:
            self._client = await asyncio.to_thread(self.endpoint.connections)
        try:
            answer = await self._client.post(self.endpoint.url + path, json={}, headers=self._headers())
        except _BROKEN:
            await self.close()
            raise self.endpoint.unreached() from None
        status = answer.status_code
        if status in _REFUSED | NOT_NOW:
            await self.close()
            raise self.endpoint.unavailable(status, f"{path}: {error_text(answer.content[:_ERROR_BYTES])}")

    async def close(self) -> None:
        """Close all connections; what is under way ends with ``EngineError``."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    @asynccontextmanager
    async def post(self, path: str, *, private: str = "", **content: Any) -> AsyncIterator[httpx2.Response]:
        """The answer to a request, its body to be read; leaving closes what is not read to its end.

        ``content`` is what httpx takes: ``json``, or ``data`` and ``files``. An error that repeats
        ``private`` is not quoted. Raises ``EngineError``, ``ServerRefusal`` and ``EngineTimeout``, also for
        what the body's reader meets.
        """
        try:
            async with self._building:
                request = self._opened().build_request(
                    "POST", self.endpoint.url + path, headers=self._headers(), **content
                )
                await request.aread()  # one piece, not one write for each part of a form
                await asyncio.sleep(0)  # one a turn of the loop: ten at once would stop it for 5 ms
            response = await self._opened().send(request, stream=True)
            try:
                self._opened()  # a connection that was still being made outlives its client
                if not response.is_success:
                    said = error_text(await _beginning(response))
                    raise self.endpoint.refused(response.status_code, said, private)
                yield response
            finally:
                await response.aclose()
        except _BROKEN as error:
            raise self.endpoint.broken(error) from None

    async def get(self, path: str) -> bytes:
        """The body of ``path``. Raises ``EngineError``."""
        try:
            response = await self._opened().get(self.endpoint.url + path, headers=self._headers())
        except _BROKEN as error:
            raise self.endpoint.broken(error) from None
        if not response.is_success:
            raise self.endpoint.refused(response.status_code, error_text(response.content[:_ERROR_BYTES]))
        return response.content

    def _opened(self) -> httpx2.AsyncClient:
        if self._client is None:
            raise EngineError(self.endpoint.engine, "it is not started, or closed")
        return self._client

    def _headers(self) -> dict[str, str]:
        headers = {"accept-encoding": "identity"}  # a compressor holds back what it has
        if self.endpoint.key:
            headers["authorization"] = f"Bearer {self.endpoint.key}"
        return headers


async def _beginning(response: httpx2.Response) -> bytes:
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) >= _ERROR_BYTES:
            break
    return body


def error_text(body: bytes) -> str:
    """What a server's error says: OpenAI's ``error``, FastAPI's ``detail``, or nothing."""
    try:
        said: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for _ in range(4):
        match said:
            case str():
                return said
            case {"error": dict() | str() as inner} if not isinstance(said.get("message"), str):
                said = inner
            case {"message": inner} | {"detail": inner} | {"msg": inner}:
                said = inner
            case [first, *_]:
                said = first
            case _:
                return ""
    return ""
