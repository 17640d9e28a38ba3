"""Who may use a route: ``Authorization: Bearer <key>``, and the key's role."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request

from app.auth.service import Identity, Role, verify_key
from app.db.request import Transaction
from app.errors import Forbidden, Unauthorised

_bearer = HTTPBearer(auto_error=False, description="An API key: `trunkline keys create`")


async def identify(
    session: Transaction,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    request: Request,
    response: Response,
) -> Identity:
    """Whose request it is. Raises ``Unauthorised``."""
    response.headers["Cache-Control"] = "no-store"  # answers hold personal data
    if credentials is None:
        raise Unauthorised("this needs an API key: send the header 'Authorization: Bearer <key>'")
    identity = await verify_key(session, credentials.credentials)
    if identity is None:
        raise Unauthorised(
            "this API key is unknown, revoked or expired; make one with 'trunkline keys create'"
        )
    request.state.identity = identity  # for what is around the route
    return identity


def require(role: Role) -> Callable[[Identity], Coroutine[Any, Any, Identity]]:
    """A dependency that lets pass whose role includes ``role``. It raises ``Unauthorised``, ``Forbidden``."""

    async def check(identity: Annotated[Identity, Depends(identify)]) -> Identity:
        if not identity.role.includes(role):
            raise Forbidden(f"this needs the role {role.value}, and your key's role is {identity.role.value}")
        return identity

    check.role = role  # type: ignore[attr-defined]  # for the table of routes and roles
    return check
