"""Versions of a resource: ``ETag``, ``If-None-Match``, ``If-Match`` (RFC 9110, sections 8.8.3 and 13.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import Depends, Header, Response
from starlette.requests import Request

from app.errors import NotModified, PreconditionFailed, PreconditionRequired, problem_docs

ABSENT = problem_docs(HTTPStatus.NOT_FOUND)
"""What a route adds to its answers that is about one resource."""

CONFLICT = problem_docs(HTTPStatus.CONFLICT)
"""What a route adds to its answers that is refused by what is there."""

CHANGED = problem_docs(HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED)
"""What ``expect`` adds to the answers of a route."""

STALE = problem_docs(HTTPStatus.PRECONDITION_FAILED)
"""What ``expect_if_given`` adds to the answers of a route."""

UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "You have the newest: no body"}}
"""What ``Reading`` adds to the answers of a route."""

_TAG = re.compile(r'(?P<weak>W/)?"(?P<tag>[\x21\x23-\x7e\x80-\xff]*)"')

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=1000,
        description='Required: the `ETag` that a GET of this resource answered, such as `"3"`; `*`: any. '
        "A change that another one was faster than is refused with 412.",
    ),
]
"""A parameter for ``expect``."""

IfMatchOptional = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=1000,
        description="Optional: the `ETag` of the resource as you know it; 412 if it has changed.",
    ),
]
"""A parameter for ``expect_if_given``."""

_IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        max_length=1000,
        description="The `ETag` of what you have: answered with 304 while that is the newest.",
    ),
]


class Tagged(Protocol):
    """What is shown with an ``ETag``."""

    revision: int


T = TypeVar("T", bound=Tagged)


def etag(revision: int) -> str:
    """The strong entity tag of a resource at a revision."""
    return f'"{revision}"'


@dataclass(frozen=True, slots=True)
class Read:
    """One request that reads a resource, of which it may have a version."""

    response: Response
    if_none_match: str | None

    def tag(self, revision: int) -> None:
        """Put the revision's tag on the answer. Raises ``NotModified`` where the client has this one."""
        tag = self.response.headers["ETag"] = etag(revision)
        known = self.if_none_match
        if known is not None and (known.strip() == "*" or tag in _tags(known, weak=True)):
            raise NotModified(tag)

    def answer(self, shown: T) -> T:
        """The resource, with its tag. Raises ``NotModified`` where the client has this one."""
        self.tag(shown.revision)
        return shown


async def _reading(response: Response, if_none_match: _IfNoneMatch = None) -> Read:
    return Read(response, if_none_match)


Reading = Annotated[Read, Depends(_reading)]
"""A route's parameter: it answers with an ``ETag``, or with 304."""


def expect(if_match: str | None, revision: int) -> None:
    """Go on only if the client knows the resource as it is.

    Raises ``PreconditionRequired`` without the header, ``PreconditionFailed`` where the resource has changed.
    """
    if if_match is None:
        raise PreconditionRequired(
            "a change needs the header If-Match with the ETag that a GET of this resource answered, "
            "so that nobody's change is lost; If-Match: * changes it whatever it is"
        )
    if if_match.strip() != "*" and etag(revision) not in _tags(if_match, weak=False):
        raise PreconditionFailed(
            f"this resource has changed: its ETag is {etag(revision)}; GET it again and repeat your change"
        )


def expect_if_given(if_match: str | None, revision: int) -> None:
    """The same for a POST, which may leave the header out. Raises ``PreconditionFailed``."""
    if if_match is not None:
        expect(if_match, revision)


def location(request: Request, *parts: str | int) -> str:
    """The path of a resource of this API, for the header ``Location``."""
    root = request.scope.get("root_path", "")
    return "/".join([root, *(str(part) for part in parts)])


def _tags(header: str, *, weak: bool) -> set[str]:
    """The tags of a header, in quotes. Weak ones count where a weak comparison is allowed."""
    return {f'"{found["tag"]}"' for found in _TAG.finditer(header) if weak or not found["weak"]}
