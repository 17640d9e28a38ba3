"""The API's description: what every route may answer, whoever wrote it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from app.errors import FieldProblem, ProblemDetails, problem_docs
from app.rest.edge import REQUEST_ID

_METHODS = ("get", "put", "post", "delete", "patch")
_REFUSALS = {
    HTTPStatus.BAD_REQUEST: "The body cannot be read",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not JSON",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests of this key, or of this address without a valid key",
    HTTPStatus.SERVICE_UNAVAILABLE: "Something that this needs is away; try again soon",
}
_WITH_BODY = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
_WAITING = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)

_EVERYWHERE = {
    REQUEST_ID: {
        "description": "The name of the request: that of the request's header, or a new one",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": "How many requests (`q`) of this key, or of this address, in `w` seconds",
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "How many are left (`r`), and in how many seconds there are more (`t`)",
        "schema": {"type": "string"},
    },
}
_RETRY_AFTER = {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 0}}
_REPLAYED = {
    "description": "`true`: the answer to the first request with this `Idempotency-Key`",
    "schema": {"type": "string", "enum": ["true"]},
}
_ETAG = {"description": "The revision of the resource, for `If-Match`", "schema": {"type": "string"}}


def describe_all(api: FastAPI) -> None:
    """Complete the description that ``api`` gives of itself."""
    made = api.openapi

    def described() -> dict[str, Any]:
        if api.openapi_schema is None:
            description = made()
            _add_problems(description)
            for operations in description["paths"].values():
                for method in _METHODS:
                    if method in operations:
                        _complete(operations[method], method)
            api.openapi_schema = description
        return api.openapi_schema

    api.openapi = described  # type: ignore[method-assign]


def _add_problems(description: dict[str, Any]) -> None:
    _, schemas = models_json_schema(
        [(ProblemDetails, "serialization"), (FieldProblem, "serialization")],
        ref_template="#/components/schemas/{model}",
    )
    description.setdefault("components", {}).setdefault("schemas", {}).update(schemas["$defs"])


def _complete(operation: dict[str, Any], method: str) -> None:
    responses: dict[str, Any] = operation["responses"]
    statuses = [*_WAITING, *(_WITH_BODY if method in {"post", "put", "patch"} else ())]
    documented = problem_docs(*statuses)
    for status in statuses:
        responses.setdefault(str(int(status)), documented[status] | {"description": _REFUSALS[status]})
    names = {parameter["name"] for parameter in operation.get("parameters", ())}
    for status, response in responses.items():
        for content in response.get("content", {}).values():
            if "itemSchema" in content:
                content.pop("schema", None)  # of the whole stream, which nobody reads whole
        headers = response.setdefault("headers", {})
        headers.update(_EVERYWHERE)
        if int(status) in {int(waiting) for waiting in _WAITING}:
            headers["Retry-After"] = _RETRY_AFTER
        if int(status) < HTTPStatus.BAD_REQUEST:
            if "Idempotency-Key" in names:
                headers["Idempotent-Replayed"] = _REPLAYED
            if names & {"If-Match", "If-None-Match"} and int(status) != HTTPStatus.NO_CONTENT:
                headers["ETag"] = _ETAG
    operation["responses"] = dict(sorted(responses.items()))
    for extension in ("x-secret", "x-repeatable"):
        operation.pop(extension, None)
