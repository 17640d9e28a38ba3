"""``/keys``: who may use the admin API. For admins."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path

from app.auth.access import require
from app.auth.schemas import KeyList, KeyRequest, KeySecret, KeySummary
from app.auth.service import Role, create_key, list_keys, revoke_key
from app.db.request import Transaction
from app.errors import NotFound, problem_docs

router = APIRouter(
    prefix="/keys", tags=["keys"], dependencies=[Depends(require(Role.ADMIN))], responses=problem_docs()
)


@router.get("")
async def keys(session: Transaction) -> KeyList:
    """Every key, oldest first, those revoked and expired among them."""
    return KeyList(keys=[KeySummary.model_validate(key) for key in await list_keys(session)])


@router.post("", status_code=HTTPStatus.CREATED)
async def create(session: Transaction, wanted: KeyRequest) -> KeySecret:
    """Make a key. Its secret is in this answer alone."""
    made = await create_key(session, wanted.role, wanted.label, expires_at=wanted.expires_at)
    return KeySecret(id=made.id, key=made.secret, prefix=made.prefix)


@router.delete("/{key_id}", status_code=HTTPStatus.NO_CONTENT, responses=problem_docs(HTTPStatus.NOT_FOUND))
async def revoke(session: Transaction, key_id: Annotated[int, Path(ge=1, lt=2**31)]) -> None:
    """Revoke a key: it is refused from now on."""
    if not await revoke_key(session, key_id):
        raise NotFound(f"there is no key {key_id} that could be revoked")
