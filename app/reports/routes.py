"""``/latency``, ``/figures`` and ``/system-events``: how the whole is doing. For viewers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel
from sqlalchemy import select

from app.db.request import Transaction
from app.errors import Invalid
from app.reports.models import SystemEvent
from app.reports.repository import Part
from app.reports.schemas import CallReport, LatencyDays, LatencyReport, SystemEventSummary
from app.reports.service import call_report, latency_days, latency_report
from app.rest.listing import Asked, Listing
from app.rest.route import rest_router
from app.rest.times import Since, Until

USUAL_DAYS = 30  # without a beginning
MOST_DAYS = 366
MOST_LATENCY_DAYS = 92

AgentName = Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9_-]{0,62}$", description="Only this agent's")]

router = rest_router("", "reports")
EVENTS = Listing(
    "events", SystemEventSummary, {"at": SystemEvent.at}, (SystemEvent.at, SystemEvent.id), "-at"
)


@router.get("/latency")
async def latency(
    session: Transaction, agent: AgentName = None, since: Since = None, until: Until = None
) -> LatencyReport:
    """Percentiles of each stage's latency over the turns that ended in a period.

    Without `since`, of the last 30 days; of 92 days at most.
    """
    begins, ends = _period(since, until, MOST_LATENCY_DAYS)
    return await latency_report(session, since=begins, until=ends, agent=agent)


@router.get("/latency/days")
async def latency_of_days(
    session: Transaction, agent: AgentName = None, since: Since = None, until: Until = None
) -> LatencyDays:
    """The same for each day (UTC) in which there were turns, oldest first."""
    begins, ends = _period(since, until, MOST_LATENCY_DAYS)
    return await latency_days(session, since=begins, until=ends, agent=agent)


@router.get("/figures")
async def figures(
    session: Transaction,
    agent: AgentName = None,
    since: Since = None,
    until: Until = None,
    by: Annotated[Part, Query(description="What the parts are")] = Part.DAY,
) -> CallReport:
    """How many calls, how long, how they ended, who spoke.

    Without `since`, of the last 30 days; of 366 days at most.
    """
    begins, ends = _period(since, until, MOST_DAYS)
    return await call_report(session, begins, ends, agent=agent, by=by)


@router.get("/system-events", response_model=EVENTS.schema, response_model_exclude_unset=True)
async def system_events(session: Transaction, asked: Annotated[Asked, Depends(EVENTS.asked)]) -> BaseModel:
    """What operators should look at, such as a latency that grew; newest first."""
    return await EVENTS.answer(session, select(SystemEvent), asked)


def _period(since: datetime | None, until: datetime | None, most_days: int) -> tuple[datetime, datetime]:
    """The period that was asked for. Raises ``Invalid`` where it is too long."""
    ends = until or datetime.now(UTC)
    begins = since or ends - timedelta(days=USUAL_DAYS)
    if ends - begins > timedelta(days=most_days):
        raise Invalid(
            "query.since", f"at most {most_days} days at once; ask for a later time, or an earlier until"
        )
    return begins, ends
