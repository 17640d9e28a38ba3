"""Answers that come in pieces: server-sent events (WHATWG HTML, section 9.2), from one task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MEDIA_TYPE = "text/event-stream"


def event(name: str, data: object) -> bytes:
    """An event with JSON as its data."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


def event_schema(names: Sequence[str]) -> dict[str, Any]:
    """The ``itemSchema`` of a stream of these events (OpenAPI 3.2, section 4.14.4)."""
    return {
        "type": "object",
        "properties": {
            "event": {"type": "string", "enum": list(names)},
            "data": {"type": "string", "contentMediaType": "application/json"},
        },
        "required": ["event", "data"],
    }


class EventStream(Response):
    """Sends events as ``events`` makes them, and closes it when the client goes.

    What it raises before its first event is an answer of its own: nothing was sent yet.
    """

    media_type = MEDIA_TYPE

    def __init__(self, events: AsyncGenerator[bytes, None], status_code: int = 200) -> None:
        super().__init__(
            status_code=status_code, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        failure: Exception | None = None

        async def tell() -> None:
            nonlocal failure
            try:
                await self._send(send)
            except Exception as error:  # noqa: BLE001 - the edge of the answer: raised again below, out of the group
                failure = error
            finally:
                leaving.cancel()

        async def leave() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            telling.cancel()

        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(tell())
            leaving = tasks.create_task(leave())
        if failure is not None:
            raise failure

    async def _send(self, send: Send) -> None:
        started = False
        async with aclosing(self._events) as events:
            async for piece in events:
                if not started:
                    started = True
                    await send(
                        {
                            "type": "http.response.start",
                            "status": self.status_code,
                            "headers": self.raw_headers,
                        }
                    )
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
