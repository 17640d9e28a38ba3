"""``/numbers``: which agent answers where, and when. Viewers read and operators change."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Query, Request
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import select

from app.audit.change import Changing, Making
from app.auth.service import Role
from app.db.request import Transaction
from app.errors import Invalid
from app.numbers import service
from app.numbers.models import Number
from app.numbers.schemas import Answering, NewNumber, NumberChange, NumberDetail, NumberPath
from app.rest.listing import Asked, Listing
from app.rest.names import SLUG
from app.rest.route import needs, rest_router
from app.rest.versions import ABSENT, CHANGED, UNCHANGED, Reading

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
    return await NUMBERS.answer(session, query, asked)


@router.post("", status_code=HTTPStatus.CREATED, dependencies=_WRITES)
async def create(making: Making, wanted: NewNumber) -> NumberDetail:
    """Let an agent answer at a number."""
    made = await service.create(making, wanted)
    return making.answer(made, "numbers", made.number)


@router.get("/{number}", responses=ABSENT | UNCHANGED)
async def number(session: Transaction, number: NumberPath, reading: Reading) -> NumberDetail:
    """One number."""
    return reading.answer(NumberDetail.model_validate(await service.find(session, number)))


@router.put("/{number}", responses=ABSENT | CHANGED, dependencies=_WRITES)
async def change(changing: Changing, number: NumberPath, wanted: NumberChange) -> NumberDetail:
    """Change who answers, and when, whole: what is left out gets its default."""
    return changing.answer(await service.change(changing, number, wanted))


@router.delete(
    "/{number}", status_code=HTTPStatus.NO_CONTENT, responses=ABSENT | CHANGED, dependencies=_WRITES
)
async def delete(changing: Changing, number: NumberPath) -> None:
    """Know a number no more: the agent of the settings answers there."""
    await service.remove(changing, number)


@router.get("/{number}/answer", responses=ABSENT)
async def answer(
    session: Transaction,
    request: Request,
    number: NumberPath,
    at: Annotated[
        AwareDatetime | None, Query(description="When, with its offset from UTC; default: now")
    ] = None,
) -> Answering:
    """Who answers a call to a number at a time: to try out opening hours."""
    found, parts = await service.find(session, number), request.app.state.parts
    try:
        return service.answering(found, at or datetime.now(UTC), parts.has_agent, parts.usual_agent)
    except OverflowError:
        raise Invalid("query.at", "is beyond the calendar of the number's time zone") from None
