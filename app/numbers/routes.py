"""``/numbers``: which agent answers where, and when. Viewers read and operators change."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import select

from app.audit.service import Who
from app.auth.service import Role
from app.db.request import Transaction
from app.errors import Invalid, problem_docs
from app.numbers import service
from app.numbers.models import Number
from app.numbers.schemas import Answering, NewNumber, NumberChange, NumberDetail, NumberPath
from app.rest.listing import Asked, Listing
from app.rest.names import SLUG
from app.rest.route import needs, rest_router
from app.rest.versions import CHANGED, UNCHANGED, IfMatch, IfNoneMatch, location, show

NUMBERS = Listing(
    "numbers",
    NumberDetail,
    sorts={
        "number": Number.number,
        "agent": Number.agent,
        "created_at": Number.created_at,
        "updated_at": Number.updated_at,
    },
    key=(Number.number,),
    sort="number",
)

router = rest_router("/numbers", "numbers")

_ABSENT = problem_docs(HTTPStatus.NOT_FOUND)
_WRITES = [needs(Role.OPERATOR)]


@router.get("", response_model=NUMBERS.schema, response_model_exclude_unset=True)
async def numbers(
    session: Transaction,
    asked: Annotated[Asked, Depends(NUMBERS.asked)],
    agent: Annotated[str | None, Query(pattern=SLUG, description="Only where this agent answers")] = None,
) -> BaseModel:
    """Numbers and the agents that answer there; at any other number the agent of the settings does."""
    query = select(Number)
    if agent is not None:
        query = query.where(Number.agent == agent)
    rows, cursor = await NUMBERS.rows(session, query, asked)
    return NUMBERS.page([NumberDetail.model_validate(row) for row in rows], cursor, asked)


@router.post("", status_code=HTTPStatus.CREATED, dependencies=_WRITES)
async def create(
    session: Transaction, who: Who, wanted: NewNumber, request: Request, response: Response
) -> NumberDetail:
    """Let an agent answer at a number."""
    made = await service.create(session, who, wanted)
    response.headers["Location"] = location(request, "numbers", made.number)
    show(response, made.revision)
    return made


@router.get("/{number}", responses=_ABSENT | UNCHANGED)
async def number(
    session: Transaction, number: NumberPath, response: Response, if_none_match: IfNoneMatch = None
) -> NumberDetail:
    """One number."""
    found = await service.find(session, number)
    show(response, found.revision, if_none_match)
    return NumberDetail.model_validate(found)


@router.put("/{number}", responses=_ABSENT | CHANGED, dependencies=_WRITES)
async def change(
    session: Transaction,
    who: Who,
    number: NumberPath,
    wanted: NumberChange,
    response: Response,
    if_match: IfMatch = None,
) -> NumberDetail:
    """Change who answers, and when, whole: what is left out gets its default."""
    changed = await service.change(session, who, number, wanted, if_match)
    show(response, changed.revision)
    return changed


@router.delete(
    "/{number}", status_code=HTTPStatus.NO_CONTENT, responses=_ABSENT | CHANGED, dependencies=_WRITES
)
async def delete(session: Transaction, who: Who, number: NumberPath, if_match: IfMatch = None) -> None:
    """Know a number no more: the agent of the settings answers there."""
    await service.remove(session, who, number, if_match)


@router.get("/{number}/answer", responses=_ABSENT)
async def answer(
    session: Transaction,
    number: NumberPath,
    at: Annotated[
        AwareDatetime | None, Query(description="When, with its offset from UTC; default: now")
    ] = None,
) -> Answering:
    """Who answers a call to a number at a time: to try out opening hours."""
    found = await service.find(session, number)
    try:
        return service.answering(found, at or datetime.now(UTC))
    except OverflowError:
        raise Invalid("query.at", "is beyond the calendar of the number's time zone") from None
