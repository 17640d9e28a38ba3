"""``/calls``: what happened, and what was said. For viewers."""

from __future__ import annotations

from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel

from app.auth.service import Role
from app.calls.repository import CallFilter
from app.calls.schemas import CallDetail, Segments, Turns
from app.calls.service import CALLS, call_segments, call_turns, find_calls, get_call
from app.db.request import Transaction
from app.errors import NotFound
from app.rest.listing import Asked
from app.rest.route import rest_router
from app.rest.times import Since, Until
from app.rest.versions import ABSENT
from app.voice.events import Outcome

router = rest_router("/calls", "calls", Role.VIEWER)

T = TypeVar("T")

_NUMBER = r"^[+0-9a-zA-Z_.@:-]{1,80}$"


def wanted(
    agent: Annotated[
        str | None, Query(pattern=r"^[a-z][a-z0-9_-]{0,62}$", description="Only this agent's")
    ] = None,
    outcome: Annotated[Outcome | None, Query(description="Only calls that ended so")] = None,
    disposition: Annotated[
        str | None, Query(pattern=r"^[a-z][a-z0-9_-]{0,62}$", description="Only calls with this result")
    ] = None,
    from_number: Annotated[str | None, Query(pattern=_NUMBER, description="Only this caller's")] = None,
    to_number: Annotated[str | None, Query(pattern=_NUMBER, description="Only calls of this number")] = None,
    since: Since = None,
    until: Until = None,
    q: Annotated[
        str | None,
        Query(
            max_length=200,
            pattern=r"^[^\x00]*$",
            description='Only calls in which this was said or heard: words, "a phrase", or, -not',
        ),
    ] = None,
) -> CallFilter:
    """Which calls, as the query says."""
    return CallFilter(
        agent, outcome.value if outcome else None, since, until, disposition, from_number, to_number, q
    )


@router.get("", response_model=CALLS.schema, response_model_exclude_unset=True)
async def calls(
    session: Transaction,
    asked: Annotated[Asked, Depends(CALLS.asked)],
    wanted: Annotated[CallFilter, Depends(wanted)],
) -> BaseModel:
    """Calls, newest first, in pages.

    With `q` a page may hold fewer than `limit`, even none, and yet have a `next_cursor`: so far was looked.
    """
    return await find_calls(session, wanted, asked)


@router.get("/{call_id}", responses=ABSENT)
async def call(session: Transaction, call_id: UUID) -> CallDetail:
    """One call: its transcript with what the caller heard, the latency of each turn, what was noted."""
    return _there(await get_call(session, call_id), call_id)


@router.get("/{call_id}/turns", responses=ABSENT)
async def turns(session: Transaction, call_id: UUID) -> Turns:
    """The turns of a call alone."""
    return _there(await call_turns(session, call_id), call_id)


@router.get("/{call_id}/segments", responses=ABSENT)
async def segments(session: Transaction, call_id: UUID) -> Segments:
    """The transcript of a call, one part for each time that a side spoke."""
    return _there(await call_segments(session, call_id), call_id)


def _there(found: T | None, call_id: UUID) -> T:
    if found is None:
        raise NotFound(f"there is no call {call_id}")
    return found
