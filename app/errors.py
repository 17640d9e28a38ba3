"""Errors of the admin API, as RFC 9457 problem details. They say what to do, and nothing of our insides."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any, cast

import asyncpg
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from app.db.session import describe, is_away, sqlstate

MEDIA_TYPE = "application/problem+json"
_NO_TEXT = frozenset({"22021", "22P05"})  # SQLSTATE: character not in repertoire, untranslatable character
OUR_FAULT = "something went wrong on our side; the server's log has more"

_log = structlog.get_logger(__name__)


class Problem(Exception):
    """A request that cannot be answered. ``detail`` is for the one who sent it."""

    status = HTTPStatus.BAD_REQUEST
    headers: dict[str, str] | None = None

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Unauthorised(Problem):
    """No key, or one that is not valid."""

    status = HTTPStatus.UNAUTHORIZED
    headers = {"WWW-Authenticate": 'Bearer realm="trunkline"'}  # noqa: RUF012 - never changed


class Forbidden(Problem):
    """A valid key that may not do this."""

    status = HTTPStatus.FORBIDDEN


class NotFound(Problem):
    """There is no such thing."""

    status = HTTPStatus.NOT_FOUND


class Conflict(Problem):
    """What is there does not allow it now."""

    status = HTTPStatus.CONFLICT


class PreconditionFailed(Problem):
    """The resource is no longer as the client knows it."""

    status = HTTPStatus.PRECONDITION_FAILED


class PreconditionRequired(Problem):
    """A change that does not say of what."""

    status = HTTPStatus.PRECONDITION_REQUIRED


class UnsupportedMedia(Problem):
    """A body that is not JSON."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class RangeNotSatisfiable(Problem):
    """A part that is not there. ``size``: bytes of the whole."""

    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE

    def __init__(self, detail: str, size: int) -> None:
        super().__init__(detail)
        self.headers = {"Content-Range": f"bytes */{size}"}


class TooManyRequests(Problem):
    """Not now. ``retry_seconds``: when it is worth asking again."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, detail: str, retry_seconds: float) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(max(1, math.ceil(retry_seconds)))}


class Unavailable(Problem):
    """Something that this needs does not work now."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    headers = {"Retry-After": "5"}  # noqa: RUF012 - never changed


class NotModified(Exception):
    """The client has the newest version already."""

    def __init__(self, etag: str) -> None:
        super().__init__(etag)
        self.etag = etag


class Replayed(Exception):
    """The request was done before: the answer to it."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class Invalid(Problem):
    """A value cannot be used. ``field`` names it as the request does, such as ``query.cursor``."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class FieldProblem(BaseModel):
    """What is wrong with one field, such as ``query.limit``."""

    field: str
    problem: str


class ProblemDetails(BaseModel):
    """An error. ``errors`` names fields where the request's values were wrong."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None


def problem_docs(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The documentation of what a route answers beside its result: 401, 403, 422 and ``statuses``."""
    always = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)
    schema = {"schema": {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}}
    return {
        int(status): {"description": status.phrase, "content": {MEDIA_TYPE: schema}}
        for status in sorted({*always, *statuses})
    }


def install_problems(api: FastAPI) -> None:
    """Answer all errors of ``api`` as problem details."""
    api.add_exception_handler(Problem, _on_problem)
    api.add_exception_handler(NotModified, _on_not_modified)
    api.add_exception_handler(Replayed, _on_replayed)
    api.add_exception_handler(RequestValidationError, _on_validation_error)
    api.add_exception_handler(HTTPException, _on_http_exception)
    for error in (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        api.add_exception_handler(error, _on_database_error)
    api.add_exception_handler(Exception, _on_exception)


def problem_response(
    status: int, detail: str, *, headers: dict[str, str] | None = None, **more: Any
) -> JSONResponse:
    """A problem details document."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(content | more, status, headers, MEDIA_TYPE)


async def _on_problem(_: Request, error: Exception) -> JSONResponse:
    problem = cast("Problem", error)
    more = {}
    if isinstance(problem, Invalid):
        more["errors"] = [{"field": problem.field, "problem": problem.problem}]
    return problem_response(problem.status, problem.detail, headers=problem.headers, **more)


async def _on_not_modified(_: Request, error: Exception) -> Response:
    headers = {"ETag": cast("NotModified", error).etag, "Cache-Control": "no-store"}
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)


async def _on_replayed(_: Request, error: Exception) -> Response:
    response = cast("Replayed", error).response
    response.headers["Idempotent-Replayed"] = "true"
    response.headers["Cache-Control"] = "no-store"
    return response


async def _on_validation_error(_: Request, error: Exception) -> JSONResponse:
    errors = [
        {"field": ".".join(map(str, problem["loc"])), "problem": problem["msg"]}
        for problem in cast("RequestValidationError", error).errors()
    ]
    detail = "; ".join(f"{each['field']}: {each['problem']}" for each in errors)
    return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    http = cast("HTTPException", error)
    details = {
        HTTPStatus.NOT_FOUND: f"there is nothing at {request.url.path}; see /api/v1/openapi.json",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not possible at {request.url.path}",
    }
    detail = details.get(HTTPStatus(http.status_code), http.detail)
    headers = dict(http.headers or {})
    if http.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request))
    return problem_response(http.status_code, detail, headers=headers)


def _methods(request: Request) -> list[str]:
    """What is possible at the request's path: the router tells of the first route alone."""
    found = set()
    for context in iter_route_contexts(request.app.routes):
        for method in context.methods or ():
            if context.matches({**request.scope, "method": method})[0] is Match.FULL:
                found.add(method)
    return sorted(found)


async def _on_database_error(request: Request, error: Exception) -> JSONResponse:
    if is_away(error):
        _log.warning("no answer: the database is away", path=request.url.path, **describe(error))
        return problem_response(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "the database is away; try again soon",
            headers={"Retry-After": "5"},
        )
    if sqlstate(error) in _NO_TEXT:
        problem = "a text of the request holds U+0000, which cannot be stored; leave it out"
        return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, problem)
    if sqlstate(error).startswith("22"):
        return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, "a value of the request is out of range")
    _log.error("the database refused a request's statement", path=request.url.path, **describe(error))
    return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, OUR_FAULT)


async def _on_exception(request: Request, _: Exception) -> JSONResponse:
    # The server logs the traceback. Nothing is around this answer that would name the request.
    headers = {"X-Request-Id": getattr(request.state, "request_id", "")}
    return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, OUR_FAULT, headers=headers)
