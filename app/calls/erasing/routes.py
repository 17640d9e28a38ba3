"""``/erasures``: every trace of a caller deleted. For admins."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict

from app.audit.service import Who
from app.auth.service import Role
from app.calls.erasing.caller import OwnNumber, erase_caller
from app.errors import Conflict, problem_docs
from app.numbers.e164 import CallerNumber
from app.recordings.ports import Places
from app.recordings.routes import places_of
from app.rest.route import rest_router

router = rest_router("/erasures", "erasures", Role.ADMIN)


class ErasureRequest(BaseModel):
    """Whose calls are to be erased."""

    model_config = ConfigDict(extra="forbid")

    caller: CallerNumber


class ErasureDetail(BaseModel):
    """What was deleted. ``hash``: by which the audit log knows the number; ``waiting``: calls that have not
    ended, are being worked up, or whose recording cannot be deleted now: they go as soon as they can."""

    hash: str
    rows: dict[str, int]
    files: int
    waiting: int


@router.post("", responses=problem_docs(HTTPStatus.CONFLICT))
async def erase(
    who: Who, wanted: ErasureRequest, request: Request, places: Annotated[Places, Depends(places_of)]
) -> ErasureDetail:
    """Delete all calls from and to a number, with their words, results, recordings and messages."""
    parts, database = request.app.state.parts, request.app.state.database
    try:
        done = await erase_caller(database, places, wanted.caller, parts.erasure_key, who)
    except OwnNumber as error:
        raise Conflict(str(error)) from None
    return ErasureDetail(hash=done.hash, rows=done.rows, files=done.files, waiting=done.waiting)
