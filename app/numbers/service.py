"""Numbers: which agent answers where, and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.change import Change
from app.audit.service import Action
from app.errors import Invalid
from app.metrics import AGENTS_NOT_LOADED
from app.numbers import repository
from app.numbers.hours import Opening, OtherAgent, Transfer, who_answers
from app.numbers.models import Number
from app.numbers.schemas import Answering, NewNumber, NumberChange, NumberDetail
from app.rest.rows import find_row

RESOURCE = "numbers"

_log = structlog.get_logger(__name__)


async def find(session: AsyncSession, number: str) -> Number:
    """One number. Raises ``NotFound``."""
    return await find_row(session, Number, number, "number")


async def create(making: Change, wanted: NewNumber) -> NumberDetail:
    """Answer calls to a number. Raises ``Conflict`` where it is answered already, ``Invalid`` for an agent
    that is not there."""
    await _check_agents(making.session, wanted)
    row = Number(number=wanted.number, **_columns(wanted))
    await making.add(row, f"the number {wanted.number} is answered already; change it instead")
    made = NumberDetail.model_validate(row)
    await making.record(Action.CREATE, RESOURCE, row.number, after=made)
    return made


async def change(changing: Change, number: str, wanted: NumberChange) -> NumberDetail:
    """Change who answers, and when, from the next call on.

    Raises ``NotFound``, and ``Invalid`` for an agent that is not there.
    """
    row = await changing.lock(Number, number, "number")
    await _check_agents(changing.session, wanted)
    before = NumberDetail.model_validate(row)
    for name, value in _columns(wanted).items():
        setattr(row, name, value)
    row.revision += 1
    row.updated_at = datetime.now(UTC)
    after = NumberDetail.model_validate(row)
    await changing.record(Action.CHANGE, RESOURCE, number, before=before, after=after)
    return after


async def remove(changing: Change, number: str) -> None:
    """Know a number no more: the agent of the settings answers there. Raises ``NotFound``."""
    row = await changing.lock(Number, number, "number")
    before = NumberDetail.model_validate(row)
    await changing.session.delete(row)
    await changing.record(Action.DELETE, RESOURCE, number, before=before)


def answering(number: Number, at: datetime, able: Callable[[str], bool], usual: str) -> Answering:
    """Who answers a call at an aware time. ``able``, ``usual``: see ``who_answers``."""
    found = who_answers(number.agent, opening_of(number), at, able, usual)
    closed = found.closed
    return Answering(
        number=number.number,
        at=at,
        open=found.open,
        then="agent" if closed is None else closed.then,
        agent=found.agent if closed is None else None,
        say="" if closed is None else closed.say,
        transfer_to=closed.number if isinstance(closed, Transfer) else None,
    )


def opening_of(number: Number) -> Opening | None:
    """The stored hours; ``None``: it is answered at any time, as it is where they do not fit this version."""
    if number.opening is None:
        return None
    try:
        return Opening.model_validate(number.opening)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        AGENTS_NOT_LOADED.inc()
        _log.error(
            "a number is answered at any time: its stored opening hours cannot be used",
            number=number.number,
            problem=f"{'.'.join(map(str, first['loc']))}: {first['msg']}",
        )
        return None


async def _check_agents(session: AsyncSession, wanted: NumberChange) -> None:
    closed = wanted.opening.closed if wanted.opening else None
    named = {"body.agent": wanted.agent}
    if isinstance(closed, OtherAgent):
        named["body.opening.closed.agent"] = closed.agent
    for field, agent in named.items():
        if not await repository.has_agent(session, agent):
            raise Invalid(field, f"there is no agent {agent!r} that could answer")


def _columns(wanted: NumberChange) -> dict[str, object]:
    opening = wanted.opening.model_dump(mode="json") if wanted.opening else None
    return {"agent": wanted.agent, "title": wanted.title, "opening": opening}
