"""``/keys``: who may use the admin API. For admins."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Path, Query
from pydantic import BaseModel
from sqlalchemy import select

from app.audit.change import Making, RequestedChange
from app.audit.service import Who
from app.auth.models import ApiKey
from app.auth.service import NewKey, Role
from app.db.request import Transaction
from app.errors import NotFound
from app.keys.schemas import KeyChange, KeyRequest, KeySecret, KeySummary
from app.keys.service import change_key, find_key, make_key, rotate_key, withdraw_key
from app.rest.listing import Asked, Listing
from app.rest.route import SECRET, rest_router
from app.rest.versions import ABSENT, CONFLICT

KEYS = Listing(
    "keys",
    KeySummary,
    sorts={"id": ApiKey.id, "created_at": ApiKey.created_at, "label": ApiKey.label},
    key=(ApiKey.id,),
    sort="id",
)

router = rest_router("/keys", "keys", Role.ADMIN)

KeyId = Annotated[int, Path(ge=1, lt=2**31)]


@router.get("", response_model=KEYS.schema, response_model_exclude_unset=True)
async def keys(session: Transaction, asked: Annotated[Asked, Depends(KEYS.asked)]) -> BaseModel:
    """Every key, oldest first, those revoked and expired among them."""
    return await KEYS.answer(session, select(ApiKey), asked)


@router.get("/{key_id}", responses=ABSENT)
async def key(session: Transaction, key_id: KeyId) -> KeySummary:
    """One key, without its secret."""
    return KeySummary.model_validate(await find_key(session, key_id))


@router.post("", status_code=HTTPStatus.CREATED, openapi_extra=SECRET)
async def create(making: Making, wanted: KeyRequest) -> KeySecret:
    """Make a key. Its secret is in this answer alone: sent again with its Idempotency-Key, the request is
    answered with 409, which names the key that was made."""
    made = await make_key(making.session, making.who, wanted.role, wanted.label, wanted.expires_at)
    return _shown_once(making, made)


@router.patch("/{key_id}", responses=ABSENT | CONFLICT)
async def change(session: Transaction, who: Who, key_id: KeyId, wanted: KeyChange) -> KeySummary:
    """Change a key's label or when it expires; what is left out stays."""
    return KeySummary.model_validate(await change_key(session, who, key_id, wanted))


@router.post(
    "/{key_id}/rotate",
    status_code=HTTPStatus.CREATED,
    responses=ABSENT,
    openapi_extra=SECRET,
)
async def rotate(
    making: Making,
    key_id: KeyId,
    overlap_hours: Annotated[int, Query(ge=0, le=720, description="How long the old key still works")] = 24,
) -> KeySecret:
    """A new key with the role, label and end of this one, which works on for the overlap."""
    made = await rotate_key(making.session, making.who, key_id, overlap_hours)
    return _shown_once(making, made)


@router.delete("/{key_id}", status_code=HTTPStatus.NO_CONTENT, responses=ABSENT)
async def revoke(session: Transaction, who: Who, key_id: KeyId) -> None:
    """Revoke a key: it is refused from now on."""
    if not await withdraw_key(session, who, key_id):
        raise NotFound(f"there is no key {key_id} that could be revoked")


def _shown_once(making: RequestedChange, made: NewKey) -> KeySecret:
    making.place("keys", made.id)
    return KeySecret(id=made.id, key=made.secret, prefix=made.prefix)
