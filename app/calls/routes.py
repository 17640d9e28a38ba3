"""``/calls`` and ``/latency``: what happened, and how fast. For viewers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime

from app.auth.access import require
from app.auth.service import Role
from app.calls.repository import CallFilter
from app.calls.schemas import CallDetail, CallPage, LatencyReport
from app.calls.service import InvalidCursor, get_call, latency_report, list_calls
from app.db.request import Transaction
from app.errors import Invalid, NotFound, problem_docs
from app.voice.events import Outcome

router = APIRouter(tags=["calls"], dependencies=[Depends(require(Role.VIEWER))], responses=problem_docs())

AgentName = Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9_-]{0,62}$", description="Only this agent's")]
Since = Annotated[AwareDatetime | None, Query(description="From this time on, with its offset from UTC")]
Until = Annotated[AwareDatetime | None, Query(description="Before this time, with its offset from UTC")]


@router.get("/calls")
async def calls(
    session: Transaction,
    agent: AgentName = None,
    outcome: Annotated[Outcome | None, Query(description="Only calls that ended so")] = None,
    since: Since = None,
    until: Until = None,
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next_cursor` of the page before")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> CallPage:
    """Calls, newest first, in pages."""
    wanted = CallFilter(agent, outcome.value if outcome else None, since, until)
    try:
        return await list_calls(session, wanted, cursor=cursor, limit=limit)
    except InvalidCursor as error:
        raise Invalid("query.cursor", str(error)) from None


@router.get("/calls/{call_id}", responses=problem_docs(HTTPStatus.NOT_FOUND))
async def call(session: Transaction, call_id: UUID) -> CallDetail:
    """One call: its transcript with what the caller heard, the latency of each turn, what was noted."""
    found = await get_call(session, call_id)
    if found is None:
        raise NotFound(f"there is no call {call_id}")
    return found


@router.get("/latency")
async def latency(
    session: Transaction, agent: AgentName = None, since: Since = None, until: Until = None
) -> LatencyReport:
    """Percentiles of each stage's latency over the turns that ended in a period."""
    return await latency_report(session, since=since, until=until, agent=agent)
