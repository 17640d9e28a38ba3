"""Errors of the admin API, as RFC 9457 problem details. They say what to do, and nothing of our insides."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

import asyncpg
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.db.session import describe, is_away, sqlstate

MEDIA_TYPE = "application/problem+json"
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
    schema = {"schema": ProblemDetails.model_json_schema()}
    return {
        int(status): {"description": status.phrase, "content": {MEDIA_TYPE: schema}}
        for status in sorted({*always, *statuses})
    }


def install_problems(api: FastAPI) -> None:
    """Answer all errors of ``api`` as problem details."""
    api.add_exception_handler(Problem, _on_problem)
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
    return problem_response(http.status_code, detail, headers=dict(http.headers or {}))


async def _on_database_error(request: Request, error: Exception) -> JSONResponse:
    if is_away(error):
        _log.warning("no answer: the database is away", path=request.url.path, **describe(error))
        return problem_response(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "the database is away; try again soon",
            headers={"Retry-After": "5"},
        )
    if sqlstate(error).startswith("22"):
        return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, "a value of the request is out of range")
    _log.error("the database refused a request's statement", path=request.url.path, **describe(error))
    return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, OUR_FAULT)


async def _on_exception(_: Request, __: Exception) -> JSONResponse:
    return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, OUR_FAULT)  # the server logs the traceback
