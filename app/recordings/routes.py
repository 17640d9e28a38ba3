"""``/recordings``: the sound of calls. Viewers list and hear them; admins delete one."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.service import Action, Who, write_audit
from app.auth.service import Role
from app.db.request import Transaction
from app.db.session import Database
from app.errors import Conflict, NotFound, RangeNotSatisfiable, Unavailable, problem_docs
from app.outbox.repository import alone_with
from app.recordings.forgetting import Sound, forget
from app.recordings.models import Recording
from app.recordings.ports import Places
from app.recordings.schemas import RecordingDetail
from app.recordings.stores import NotStored, StoreError
from app.rest.listing import Asked, Listing
from app.rest.route import needs, rest_router
from app.rest.times import Since, Until
from app.rest.versions import ABSENT

MEDIA_TYPE = "audio/flac"
RESOURCE = "recordings"

RECORDINGS = Listing(
    "recordings",
    RecordingDetail,
    {"started_at": Recording.started_at},
    (Recording.started_at, Recording.id),
    "-started_at",
)

router = rest_router("/recordings", "recordings")

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_BINARY = {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
_AUDIO: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole recording", "content": _BINARY},
    206: {"description": "The part that was asked for with Range", "content": _BINARY},
    **problem_docs(
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
}


def places_of(request: Request) -> Places:
    """Where this process finds recordings. Raises ``Unavailable`` where it knows of no place."""
    found: Places | None = request.app.state.parts.recordings
    if found is None:
        raise Unavailable("this process does not know where recordings are kept; ask one that answers calls")
    return found


Kept = Annotated[Places, Depends(places_of)]


@router.get("", response_model=RECORDINGS.schema, response_model_exclude_unset=True)
async def recordings(
    session: Transaction,
    asked: Annotated[Asked, Depends(RECORDINGS.asked)],
    call_id: Annotated[UUID | None, Query(description="Only this call's")] = None,
    since: Since = None,
    until: Until = None,
) -> BaseModel:
    """Recordings, those of the newest calls first; `since` and `until` say when these began."""
    query = select(Recording)
    if call_id is not None:
        query = query.where(Recording.call_id == call_id)
    if since is not None:
        query = query.where(Recording.started_at >= since)
    if until is not None:
        query = query.where(Recording.started_at < until)
    return await RECORDINGS.answer(session, query, asked)


@router.get("/{recording_id}", responses=ABSENT)
async def recording(session: Transaction, recording_id: UUID) -> RecordingDetail:
    """What is known of a recording."""
    return RecordingDetail.model_validate(await _find(session, recording_id))


@router.get("/{recording_id}/audio", response_class=Response, responses=_AUDIO)
async def audio(
    session: Transaction,
    places: Kept,
    recording_id: UUID,
    range_: Annotated[
        str | None, Header(alias="Range", description="A part, such as bytes=0-99999", max_length=60)
    ] = None,
) -> Response:
    """The recording as FLAC, all of it or one range of bytes."""
    found = await _find(session, recording_id)
    if found.state != "kept":
        raise Conflict(f"the recording {recording_id} is {found.state}: there is no audio to send")
    store = places.named(found.store)
    if store is None:
        raise Unavailable(
            f"the recording is in the store {found.store!r}, which the settings of this process do not name: "
            "set TRUNKLINE_RECORDINGS__S3__BUCKET and what belongs to it"
        )
    try:
        size = await store.size(found.path)
    except NotStored:
        raise NotFound(f"the store no longer has the recording {recording_id}") from None
    except StoreError as error:
        raise Unavailable(str(error)) from None
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "no-store"}
    part = _part(range_, size)
    if part is None:
        headers["Content-Length"] = str(size)
        return StreamingResponse(store.stream(found.path), headers=headers, media_type=MEDIA_TYPE)
    begin, end = part
    headers |= {"Content-Length": str(end - begin), "Content-Range": f"bytes {begin}-{end - 1}/{size}"}
    return StreamingResponse(
        store.stream(found.path, begin, end), HTTPStatus.PARTIAL_CONTENT, headers, MEDIA_TYPE
    )


@router.delete(
    "/{recording_id}",
    status_code=HTTPStatus.NO_CONTENT,
    dependencies=[needs(Role.ADMIN)],
    responses=problem_docs(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def delete(request: Request, places: Kept, who: Who, recording_id: UUID) -> None:
    """Delete the audio wherever it is; that there was some stays known."""
    database: Database = request.app.state.database
    async with database.transaction() as session:
        call_id = (await _find(session, recording_id)).call_id
    async with alone_with(database.engine, call_id) as alone:
        if not alone:
            raise Conflict(f"the recording {recording_id} is being worked on; try again in a moment")
        # A transaction of its own: what it does is seen by whoever works on the call next.
        async with database.transaction() as session:
            found = await _find(session, recording_id)
            before = RecordingDetail.model_validate(found)
            try:
                await forget(await _sound(session, found), places)
            except StoreError as error:
                raise Unavailable(str(error)) from None
            found.state = "erased"
            await write_audit(session, who, Action.DELETE, RESOURCE, str(recording_id), before=before)


async def _sound(session: AsyncSession, found: Recording) -> Sound:
    """The carrier knows the call by a name of its own."""
    query = text("SELECT carrier_call_id FROM calls WHERE id = :call AND started_at = :began")
    name = await session.scalar(query, {"call": found.call_id, "began": found.started_at})
    return Sound(
        found.call_id,
        found.started_at,
        carrier_call_id=name or "",
        path=found.path,
        store=found.store,
        source=found.source,
        state=found.state,
    )


async def _find(session: AsyncSession, recording_id: UUID) -> Recording:
    found = await session.get(Recording, recording_id)
    if found is None:
        raise NotFound(f"there is no recording {recording_id}")
    return found


def _part(header: str | None, size: int) -> tuple[int, int] | None:
    """The bytes that a Range header asks for (RFC 9110, 14.2); ``None``: all, also where it is another kind.

    Raises ``RangeNotSatisfiable``.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < begin:
            return None
    if begin >= size or begin >= end:
        raise RangeNotSatisfiable(f"the recording has {size} bytes", size)
    return begin, end
