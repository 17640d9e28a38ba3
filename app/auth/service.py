"""API keys: made once, shown once, stored as a hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import repository
from app.auth.models import ApiKey

PREFIX = "tl_"
SECRET_BYTES = 32
SHORTEST_KEY = 16  # of a key that an operator chose; those made here have 46 characters
TOUCH_EVERY = timedelta(minutes=1)

_log = structlog.get_logger(__name__)


class Role(StrEnum):
    """What a key may do; each role may also do what those before it may."""

    VIEWER = "viewer"  # read, but for keys and the audit log
    OPERATOR = "operator"  # and act on calls, change voices, prompts and numbers
    ADMIN = "admin"  # and change agents, keys and webhooks, erase callers, read the audit log

    def includes(self, other: Role) -> bool:
        """Whether this role may do what ``other`` may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


class WeakKey(ValueError):
    """A chosen key is too short to be safe. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose request it is. ``name``: the key as people tell it from others, without its secret."""

    key_id: int
    role: Role
    name: str = ""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. ``secret`` is nowhere else: show it once."""

    id: int
    secret: str
    prefix: str


async def create_key(
    session: AsyncSession, role: Role, label: str, *, expires_at: datetime | None = None
) -> NewKey:
    """Make a key. ``expires_at``: aware; ``None``: never."""
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    stored = await repository.add_key(
        session,
        digest=_digest(secret),
        prefix=_prefix(secret),
        role=role.value,
        label=label,
        expires_at=expires_at,
    )
    if stored is None:
        raise RuntimeError("two random keys are the same: the system's source of randomness is broken")
    return NewKey(stored.id, secret, stored.prefix)


async def ensure_first_key(session: AsyncSession, key: str) -> ApiKey | None:
    """Store the admin key of the settings, and return it; ``None`` where it is stored already.

    An empty key changes nothing, and a revoked one stays revoked. Raises ``WeakKey``.
    """
    if not key:
        return None
    if len(key) < SHORTEST_KEY:
        raise WeakKey(
            f"TRUNKLINE_ADMIN__API_KEY has fewer than {SHORTEST_KEY} characters; choose a longer one, "
            "for instance with: python -c 'import secrets; print(\"tl_\" + secrets.token_urlsafe(32))'"
        )
    stored = await repository.add_key(
        session,
        digest=_digest(key),
        prefix=_prefix(key),
        role=Role.ADMIN.value,
        label="first admin key",
        expires_at=None,
    )
    if stored is not None:
        _log.info("stored the first admin key", prefix=stored.prefix)
    return stored


async def verify_key(session: AsyncSession, key: str) -> Identity | None:
    """Whose key this is; ``None`` where it is unknown, revoked or expired. Notes its use, once a minute."""
    digest = _digest(key)
    stored = await repository.valid_key(session, digest)
    if stored is None or not hmac.compare_digest(stored.hash, digest):
        return None
    if stored.last_used_at is None or datetime.now(UTC) - stored.last_used_at >= TOUCH_EVERY:
        await repository.touch_key(session, stored.id, TOUCH_EVERY)
    return Identity(stored.id, Role(stored.role), f"{stored.prefix} {stored.label}")


async def revoke_key(session: AsyncSession, key_id: int) -> bool:
    """Make a key useless from now on; false where there is no such key, or it was revoked."""
    return await repository.revoke(session, key_id)


async def list_keys(session: AsyncSession) -> Sequence[ApiKey]:
    """Every key, oldest first, those revoked and expired among them."""
    return await repository.all_keys(session)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _prefix(key: str) -> str:
    """What may be shown: of a key made here 4 random characters of 43, of a chosen one the first 3."""
    return key[: len(PREFIX) + 4] if key.startswith(PREFIX) and len(key) > SHORTEST_KEY * 2 else key[:3]
