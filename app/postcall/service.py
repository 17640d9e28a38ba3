"""Looking at the work after calls, and starting it again."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.service import Action, Actor, write_audit
from app.calls.repository import call_by_id
from app.errors import Conflict, NotFound
from app.outbox.repository import owe
from app.postcall import repository
from app.postcall.plan import STEPS, to_do_again
from app.postcall.schemas import CallSteps, StepDetail, StepsAgain

RESOURCE = "call_steps"


async def steps_of(session: AsyncSession, call_id: UUID) -> CallSteps:
    """The steps of a call. Raises ``NotFound``."""
    call = await call_by_id(session, call_id)
    if call is None:
        raise NotFound(f"there is no call {call_id}")
    rows = await repository.steps_of(session, call_id, call.started_at)
    return CallSteps(steps=[StepDetail.model_validate(row) for row in rows])


async def do_again(session: AsyncSession, who: Actor, call_id: UUID, step: str) -> StepsAgain:
    """Have a step done again, and those that make use of it. Raises ``NotFound``, ``Conflict``."""
    if step not in STEPS:
        raise NotFound(f"there is no step {step!r}; the steps are {', '.join(STEPS)}")
    started_at = await _ended(session, call_id)
    again = to_do_again(step)
    # The outbox first, as whoever works on the call takes them.
    await owe(session, [call_id])
    await repository.reset(session, call_id, started_at, again)
    steps = [name for name in STEPS if name in again]
    await write_audit(session, who, Action.RETRY, RESOURCE, f"{call_id}/{step}", after={"steps": steps})
    return StepsAgain(call_id=call_id, steps=steps)


async def _ended(session: AsyncSession, call_id: UUID) -> datetime:
    """When a call began that has ended."""
    call = await call_by_id(session, call_id)
    if call is None:
        raise NotFound(f"there is no call {call_id}")
    if call.ended_at is None:
        raise Conflict(f"the call {call_id} has not ended; the work after it begins then")
    return call.started_at
