"""``/live``: calls that are running. Viewers see them; operators end them, have a sentence said, advise."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import Depends
from pydantic import BaseModel, ConfigDict, Field

from app.audit.service import Who
from app.auth.service import Role
from app.calls.control import Command, command
from app.calls.repository import running_calls
from app.calls.service import CALLS
from app.db.request import Transaction
from app.errors import problem_docs
from app.rest.listing import Asked
from app.rest.route import needs, rest_router

router = rest_router("/live", "live calls")

_OPERATOR = [needs(Role.OPERATOR)]
_REFUSALS = problem_docs(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
_SPEAKABLE = r"^[^\x00-\x1f]*$"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LastWords(_Request):
    """How a call is to end. ``say``: said before; empty: without a word."""

    say: str = Field(default="", max_length=500, pattern=_SPEAKABLE)


class Sentence(_Request):
    """Something to be said to the caller, as soon as neither they nor the agent speak."""

    say: str = Field(min_length=1, max_length=500, pattern=_SPEAKABLE)


class Advice(_Request):
    """Something for the agent alone; it counts from its next reply on."""

    note: str = Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")


class Accepted(BaseModel):
    """What was asked stands in the call's events, and the process that answers the call is told of it."""

    call_id: UUID
    command: Command


@router.get("", response_model=CALLS.schema, response_model_exclude_unset=True)
async def running(session: Transaction, asked: Annotated[Asked, Depends(CALLS.asked)]) -> BaseModel:
    """Calls that have not ended, of all processes, newest first."""
    return await CALLS.answer(session, running_calls(), asked)


@router.post(
    "/{call_id}/hang-up", status_code=HTTPStatus.ACCEPTED, dependencies=_OPERATOR, responses=_REFUSALS
)
async def hang_up(session: Transaction, who: Who, call_id: UUID, wanted: LastWords) -> Accepted:
    """End a call, after a last sentence if there is one."""
    await command(session, who, call_id, Command.HANG_UP, wanted.say)
    return Accepted(call_id=call_id, command=Command.HANG_UP)


@router.post("/{call_id}/say", status_code=HTTPStatus.ACCEPTED, dependencies=_OPERATOR, responses=_REFUSALS)
async def say(session: Transaction, who: Who, call_id: UUID, wanted: Sentence) -> Accepted:
    """Have the agent say a sentence."""
    await command(session, who, call_id, Command.SAY, wanted.say)
    return Accepted(call_id=call_id, command=Command.SAY)


@router.post("/{call_id}/note", status_code=HTTPStatus.ACCEPTED, dependencies=_OPERATOR, responses=_REFUSALS)
async def note(session: Transaction, who: Who, call_id: UUID, wanted: Advice) -> Accepted:
    """Tell the agent something that the caller does not hear."""
    await command(session, who, call_id, Command.ADVISE, wanted.note)
    return Accepted(call_id=call_id, command=Command.ADVISE)
