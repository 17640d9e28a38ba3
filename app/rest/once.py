"""Requests that may be sent again: ``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header-07).

The answer is stored in the transaction of the effect: both are there, or neither. What failed was not done,
is not stored, and can be sent again with the same key. An answer that holds a secret is stored without its
body, and the request sent again is told so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Header
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from app.auth.access import identify
from app.auth.service import Identity
from app.db.request import Transaction
from app.errors import Conflict, Invalid, Replayed
from app.rest.models import IdempotentRequest

KEPT = timedelta(hours=24)
"""How long an answer can be had again."""

_SHOWN_AGAIN = ("content-type", "etag", "location")
_STATE = "once"

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Your own name of this request, such as a UUID. Sent again with it within 24 hours, the "
        "request is not done again: its answer is repeated, with `Idempotent-Replayed: true`.",
    ),
]


@dataclass(frozen=True, slots=True)
class _Pending:
    """A request whose answer is to be stored."""

    session: AsyncSession
    key_id: int
    key: str
    fingerprint: bytes


async def once(
    request: Request,
    session: Transaction,
    identity: Annotated[Identity, Depends(identify)],
    key: IdempotencyKey = None,
) -> None:
    """Repeat the answer to a request that was done, or note that this one's answer is to be kept.

    Raises ``Replayed``; ``Conflict`` while the first one is being done, or where its answer held a secret;
    ``Invalid`` where another request had this key.
    """
    if key is None:
        return
    fingerprint = await _fingerprint(request)
    if not await _lock(session, identity.key_id, key):
        raise Conflict("the first request with this Idempotency-Key is being done; ask again in a moment")
    stored = await _stored(session, identity.key_id, key)
    if stored is None:
        setattr(request.state, _STATE, _Pending(session, identity.key_id, key, fingerprint))
        return
    if stored.fingerprint != fingerprint:
        raise Invalid("header.Idempotency-Key", "was used for another request; every request needs its own")
    if stored.body is None:
        done, again = "was done", "send"
        if made := stored.headers.get("location"):
            done, again = f"was done, and made {made}", "revoke what was made and send"
        raise Conflict(
            f"this request {done}; its answer held a secret, which is shown once and not stored. "
            f"If it was lost, {again} the request with a new Idempotency-Key"
        )
    raise Replayed(Response(stored.body, stored.status, stored.headers))


async def keep_answer(request: Request, response: Response, *, secret: bool) -> None:
    """Store the answer to a request that ``once`` let pass, if it was done. ``secret``: without its body."""
    pending: _Pending | None = getattr(request.state, _STATE, None)
    if pending is None or response.status_code >= HTTPStatus.BAD_REQUEST:
        return
    answer = {
        "fingerprint": pending.fingerprint,
        "status": response.status_code,
        "headers": _headers(response.headers),
        "body": None if secret else bytes(response.body),
        "created_at": func.now(),
    }
    row = insert(IdempotentRequest).values(key_id=pending.key_id, key=pending.key, **answer)
    # What is there still is older than KEPT: nobody swept yet.
    await pending.session.execute(row.on_conflict_do_update(index_elements=["key_id", "key"], set_=answer))


async def forget_old_answers(session: AsyncSession) -> int:
    """Delete the answers that are older than ``KEPT``; returns how many. For the daily work."""
    statement = (
        delete(IdempotentRequest)
        .where(IdempotentRequest.created_at < func.now() - KEPT)
        .returning(IdempotentRequest.key_id)
    )
    return len((await session.scalars(statement)).all())


async def _stored(session: AsyncSession, key_id: int, key: str) -> IdempotentRequest | None:
    """The answer that can be had again."""
    found: IdempotentRequest | None = await session.scalar(
        select(IdempotentRequest).where(
            IdempotentRequest.key_id == key_id,
            IdempotentRequest.key == key,
            IdempotentRequest.created_at > func.now() - KEPT,
        )
    )
    return found


async def _fingerprint(request: Request) -> bytes:
    digest = hashlib.sha256()
    for part in (request.method, request.url.path, request.url.query):
        digest.update(part.encode() + b"\x00")
    digest.update(await request.body())
    return digest.digest()


async def _lock(session: AsyncSession, key_id: int, key: str) -> bool:
    """Whether this transaction alone does the request; until its end."""
    name = func.hashtextextended(f"{key_id}/{key}", 0)
    return bool(await session.scalar(select(func.pg_try_advisory_xact_lock(name))))


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in _SHOWN_AGAIN if name in headers}
