"""``/calls/{id}/steps`` and ``/steps``: the work after calls. Viewers see it, operators start it again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query
from pydantic import BaseModel
from sqlalchemy import select

from app.audit.service import Who
from app.auth.service import Role
from app.db.request import Transaction
from app.postcall import service
from app.postcall.models import CallStep
from app.postcall.plan import State
from app.postcall.schemas import CallSteps, StepDetail, StepsAgain
from app.rest.listing import Asked, Listing
from app.rest.route import needs, rest_router
from app.rest.versions import ABSENT, CONFLICT

OPEN_STEPS = Listing(
    "steps",
    StepDetail,
    sorts={"due_at": CallStep.due_at},
    key=(CallStep.call_id, CallStep.step),
    sort="-due_at",
)

router = rest_router("", "work after calls")


StepName = Annotated[str, Path(pattern=r"^[a-z][a-z_]{0,62}$", description="The name of a step")]


@router.get("/calls/{call_id}/steps", responses=ABSENT)
async def steps(session: Transaction, call_id: UUID) -> CallSteps:
    """The work after one call: its steps, in order, with their results."""
    return await service.steps_of(session, call_id)


@router.post(
    "/calls/{call_id}/steps/{step}/retry",
    status_code=HTTPStatus.ACCEPTED,
    responses=ABSENT | CONFLICT,
    dependencies=[needs(Role.OPERATOR)],
)
async def retry(session: Transaction, who: Who, call_id: UUID, step: StepName) -> StepsAgain:
    """Do a step again, with all its tries, and then those that make use of it."""
    return await service.do_again(session, who, call_id, step)


@router.get("/steps", response_model=OPEN_STEPS.schema, response_model_exclude_unset=True)
async def open_steps(
    session: Transaction,
    asked: Annotated[Asked, Depends(OPEN_STEPS.asked)],
    failed: Annotated[bool, Query(description="Those that failed for good; else those that wait")] = True,
) -> BaseModel:
    """Steps of all calls that failed, or that wait, newest first."""
    state = State.FAILED if failed else State.WAITING
    query = select(CallStep).where(CallStep.state == state.value)
    return await OPEN_STEPS.answer(session, query, asked)
