"""Routes of the admin API: who may use them, what they take, and what they answer when sent again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine
from email.message import Message
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from app.auth.access import require
from app.auth.service import Role
from app.errors import Invalid, UnsupportedMedia, problem_docs
from app.rest.once import keep_answer, once

_HALVES = re.compile(rb"\\u[dD][89a-fA-F]")  # of surrogate pairs, as JSON escapes them

SECRET = {"x-secret": True}
"""``openapi_extra`` of a POST whose answer holds a secret: it is not stored, and not repeated."""

REPEATABLE = {"x-repeatable": True}
"""``openapi_extra`` of a POST that changes nothing: it needs no ``Idempotency-Key``."""


class RestRoute(APIRoute):
    """A route whose POSTs are done once, and whose bodies are JSON."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        extra = more.get("openapi_extra") or {}
        self._secret = "x-secret" in extra
        if "POST" in (more.get("methods") or ()) and "x-repeatable" not in extra:
            more["dependencies"] = [*(more.get("dependencies") or ()), Depends(once)]
            more["responses"] = {**problem_docs(HTTPStatus.CONFLICT), **(more.get("responses") or {})}
        super().__init__(path, endpoint, **more)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, within the transaction of the request."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            if self.body_field is not None:
                await _check_media_type(request)
                _check_characters(await request.body())
            response = await handle(request)
            await keep_answer(request, response, secret=self._secret)
            return response

        return guarded


def rest_router(prefix: str, tag: str, role: Role = Role.VIEWER) -> APIRouter:
    """A room's router. ``role``: the least that any of its routes needs; a route that needs more says so
    with ``dependencies=[needs(role)]``."""
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        dependencies=[needs(role)],
        responses=problem_docs(),
        route_class=RestRoute,
    )


def needs(role: Role) -> Any:
    """A dependency of a route for keys whose role includes ``role``."""
    return Depends(require(role))


def _check_characters(body: bytes) -> None:
    """Raises ``Invalid`` for a text that is no Unicode: JSON can hold halves of characters, UTF-8 cannot."""
    if not _HALVES.search(body):
        return
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Invalid("body", "holds half of a surrogate pair; send whole characters") from None
    except (ValueError, RecursionError):
        return  # what is no JSON is told of elsewhere


async def _check_media_type(request: Request) -> None:
    given = request.headers.get("content-type", "")
    message = Message()
    message["content-type"] = given
    kind = message.get_content_type() if given else ""
    if not (kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))):
        if not given and not await request.body():
            return  # no body at all is told of by name
        raise UnsupportedMedia(
            "the body must be JSON: send it with the header Content-Type: application/json"
        )
