"""SQL of the steps after calls."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.calls.models import Call
from app.postcall.models import CallStep
from app.postcall.plan import STEPS, State


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a step stands. ``due``: it may be done now, by the database's clock."""

    state: State
    due: bool
    due_at: datetime
    attempts: int


async def began_at(session: AsyncSession, call_id: UUID) -> datetime | None:
    """When a call that has ended began: its partition. ``None``: there is no such call."""
    query = select(Call.started_at).where(Call.id == call_id, Call.ended_at.is_not(None))
    found: datetime | None = await session.scalar(query)
    return found


async def plan_steps(session: AsyncSession, call_id: UUID, started_at: datetime) -> None:
    """Make known what is to be done for a call, where it is not."""
    rows = [
        {"call_id": call_id, "step": step, "started_at": started_at, "state": State.WAITING.value}
        for step in STEPS
    ]
    await session.execute(insert(CallStep).values(rows).on_conflict_do_nothing())


async def standings(session: AsyncSession, call_id: UUID, started_at: datetime) -> dict[str, Standing]:
    """Where each step of a call stands."""
    due = CallStep.due_at <= func.now()
    query = select(CallStep.step, CallStep.state, due, CallStep.due_at, CallStep.attempts).where(
        CallStep.call_id == call_id, CallStep.started_at == started_at
    )
    return {
        step: Standing(State(state), is_due, due_at, attempts)
        for step, state, is_due, due_at, attempts in await session.execute(query)
    }


async def lock_waiting(
    session: AsyncSession, call_id: UUID, started_at: datetime, step: str, due_at: datetime
) -> bool:
    """Keep everybody else from a step in this transaction; whether it is still to be done.

    ``due_at``: as it stood when its work began. Another one means that it is to be done from the start.
    """
    query = select(CallStep.state, CallStep.due_at).where(*_is(call_id, started_at, step)).with_for_update()
    found = (await session.execute(query)).one_or_none()
    return found is not None and tuple(found) == (State.WAITING.value, due_at)


async def finish(
    session: AsyncSession,
    call_id: UUID,
    started_at: datetime,
    step: str,
    state: State,
    result: Mapping[str, Any] | None,
) -> None:
    """A step is done or skipped."""
    await session.execute(
        update(CallStep)
        .where(*_is(call_id, started_at, step))
        .values(
            state=state.value,
            attempts=CallStep.attempts + 1,
            error=None,
            result=dict(result) if result is not None else None,
            finished_at=func.now(),
        )
    )


async def fail(
    session: AsyncSession,
    call_id: UUID,
    started_at: datetime,
    step: str,
    *,
    error: str,
    retry_seconds: float | None,
) -> None:
    """A try of a locked step failed. ``retry_seconds``: until the next one; ``None``: there is none."""
    again = retry_seconds is not None
    await session.execute(
        update(CallStep)
        .where(*_is(call_id, started_at, step))
        .values(
            state=(State.WAITING if again else State.FAILED).value,
            attempts=CallStep.attempts + 1,
            due_at=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, retry_seconds or 0.0),
            error=error,
            finished_at=None if again else func.now(),
        )
    )


async def result_of(
    session: AsyncSession, call_id: UUID, started_at: datetime, step: str
) -> dict[str, Any] | None:
    """What a step resulted in when it was done last, also while it is to be done again."""
    query = select(CallStep.result).where(*_is(call_id, started_at, step))
    found: dict[str, Any] | None = await session.scalar(query)
    return found


async def reset(session: AsyncSession, call_id: UUID, started_at: datetime, steps: Collection[str]) -> None:
    """Have steps done again, from now on. What they had resulted in stays until then."""
    await session.execute(
        update(CallStep)
        .where(
            CallStep.call_id == call_id, CallStep.started_at == started_at, CallStep.step.in_(sorted(steps))
        )
        .values(state=State.WAITING.value, attempts=0, due_at=func.now(), finished_at=None)
    )


async def steps_of(session: AsyncSession, call_id: UUID, started_at: datetime) -> Sequence[CallStep]:
    """The steps of a call, in their order."""
    query = select(CallStep).where(CallStep.call_id == call_id, CallStep.started_at == started_at)
    order = {step: place for place, step in enumerate(STEPS)}  # one of another version of the code goes last
    return sorted(await session.scalars(query), key=lambda row: order.get(row.step, len(order)))


async def results(session: AsyncSession, call_id: UUID, started_at: datetime) -> dict[str, dict[str, Any]]:
    """What the steps of a call that are done resulted in, by step."""
    query = select(CallStep.step, CallStep.result).where(
        CallStep.call_id == call_id,
        CallStep.started_at == started_at,
        CallStep.state == State.DONE.value,
        CallStep.result.is_not(None),
    )
    return {step: result or {} for step, result in await session.execute(query)}


async def failed_count(session: AsyncSession) -> int:
    """How many steps failed for good and were not started again."""
    query = select(func.count()).select_from(CallStep).where(CallStep.state == State.FAILED.value)
    return await session.scalar(query) or 0


def _is(call_id: UUID, started_at: datetime, step: str) -> tuple[Any, ...]:
    return CallStep.call_id == call_id, CallStep.started_at == started_at, CallStep.step == step
