"""Numbers: which agent answers where, and when."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.service import Action, Actor, write_audit
from app.db.notify import notify
from app.errors import Conflict, Invalid, NotFound
from app.numbers import repository
from app.numbers.hours import Opening, OtherAgent, Transfer, is_open
from app.numbers.models import Number
from app.numbers.schemas import Answering, NewNumber, NumberChange, NumberDetail
from app.rest.changes import CHANGES
from app.rest.versions import expect

RESOURCE = "numbers"


async def find(session: AsyncSession, number: str) -> Number:
    """One number. Raises ``NotFound``."""
    found = await session.get(Number, number)
    if found is None:
        raise NotFound(f"there is no number {number}")
    return found


async def create(session: AsyncSession, who: Actor, wanted: NewNumber) -> NumberDetail:
    """Answer calls to a number. Raises ``Conflict`` where it is answered already, ``Invalid`` for an agent
    that is not there."""
    await _check_agents(session, wanted)
    row = Number(number=wanted.number, **_columns(wanted))
    session.add(row)
    try:
        await session.flush()
    except IntegrityError:
        raise Conflict(f"the number {wanted.number} is answered already; change it instead") from None
    await session.refresh(row)
    made = NumberDetail.model_validate(row)
    await write_audit(session, who, Action.CREATE, RESOURCE, row.number, after=made)
    await notify(session, CHANGES, {"resource": RESOURCE, "id": row.number})
    return made


async def change(
    session: AsyncSession, who: Actor, number: str, wanted: NumberChange, if_match: str | None
) -> NumberDetail:
    """Change who answers, and when, from the next call on."""
    row = await _locked(session, number)
    expect(if_match, row.revision)
    await _check_agents(session, wanted)
    before = NumberDetail.model_validate(row)
    for name, value in _columns(wanted).items():
        setattr(row, name, value)
    row.revision += 1
    row.updated_at = datetime.now(UTC)
    await session.flush()
    after = NumberDetail.model_validate(row)
    await write_audit(session, who, Action.CHANGE, RESOURCE, number, before=before, after=after)
    await notify(session, CHANGES, {"resource": RESOURCE, "id": number})
    return after


async def remove(session: AsyncSession, who: Actor, number: str, if_match: str | None) -> None:
    """Know a number no more: the agent of the settings answers there."""
    row = await _locked(session, number)
    expect(if_match, row.revision)
    before = NumberDetail.model_validate(row)
    await session.delete(row)
    await session.flush()
    await write_audit(session, who, Action.DELETE, RESOURCE, number, before=before)
    await notify(session, CHANGES, {"resource": RESOURCE, "id": number})


def answering(number: Number, at: datetime) -> Answering:
    """Who answers a call at an aware time."""
    opening = None if number.opening is None else Opening.model_validate(number.opening)
    opened = opening is None or is_open(opening, at)
    found = Answering(
        number=number.number,
        at=at,
        open=opened,
        then="agent",
        agent=number.agent,
        say="",
        transfer_to=None,
    )
    if opened or opening is None:
        return found
    closed = opening.closed
    if isinstance(closed, OtherAgent):
        return found.model_copy(update={"agent": closed.agent})
    transfer = closed.number if isinstance(closed, Transfer) else None
    return found.model_copy(
        update={"then": closed.then, "agent": None, "say": closed.say, "transfer_to": transfer}
    )


async def _check_agents(session: AsyncSession, wanted: NumberChange) -> None:
    closed = wanted.opening.closed if wanted.opening else None
    named = {"body.agent": wanted.agent}
    if isinstance(closed, OtherAgent):
        named["body.opening.closed.agent"] = closed.agent
    for field, agent in named.items():
        if not await repository.has_agent(session, agent):
            raise Invalid(field, f"there is no agent {agent!r} that could answer")


async def _locked(session: AsyncSession, number: str) -> Number:
    found = await repository.lock_number(session, number)
    if found is None:
        raise NotFound(f"there is no number {number}")
    return found


def _columns(wanted: NumberChange) -> dict[str, object]:
    opening = wanted.opening.model_dump(mode="json") if wanted.opening else None
    return {"agent": wanted.agent, "title": wanted.title, "opening": opening}
