"""``/erasures``: every trace of a caller deleted. For admins."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict

from app.audit.service import Who
from app.auth.service import Role
from app.calls.erasing.caller import OwnNumber, erase_caller
from app.errors import Conflict, Unavailable, problem_docs
from app.numbers.schemas import PhoneNumber
from app.recordings.ports import Store
from app.recordings.stores import StoreError
from app.rest.route import rest_router

router = rest_router("/erasures", "erasures", Role.ADMIN)


class ErasureRequest(BaseModel):
    """Whose calls are to be erased."""

    model_config = ConfigDict(extra="forbid")

    caller: PhoneNumber


class ErasureDetail(BaseModel):
    """What was deleted. ``hash``: by which the audit log knows the number; ``waiting``: calls that have not
    ended or are being worked up, and are erased as soon as that is over."""

    hash: str
    rows: dict[str, int]
    files: int
    waiting: int


def store(request: Request) -> Store:
    """Where recordings are kept. Raises ``Unavailable`` where this process does not know."""
    found: Store | None = request.app.state.parts.recordings
    if found is None:
        raise Unavailable("this process does not know where recordings are kept; ask one that answers calls")
    return found


@router.post("", responses=problem_docs(HTTPStatus.CONFLICT))
async def erase(
    who: Who, wanted: ErasureRequest, request: Request, kept: Annotated[Store, Depends(store)]
) -> ErasureDetail:
    """Delete all calls from and to a number, with their words, results, recordings and messages."""
    parts, database = request.app.state.parts, request.app.state.database
    try:
        done = await erase_caller(database, kept, wanted.caller, parts.erasure_key, who)
    except OwnNumber as error:
        raise Conflict(str(error)) from None
    except StoreError as error:
        raise Unavailable(f"a recording cannot be deleted: {error}; what was not erased yet stays") from None
    return ErasureDetail(hash=done.hash, rows=done.rows, files=done.files, waiting=done.waiting)
