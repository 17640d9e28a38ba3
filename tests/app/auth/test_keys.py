"""API keys: made once, verified, expired, revoked."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from app.auth.service import (
    NewKey,
    Role,
    WeakKey,
    create_key,
    ensure_first_key,
    list_keys,
    revoke_key,
    verify_key,
)
from app.db.session import Database


async def make(database: Database, role: Role = Role.VIEWER, **more: datetime) -> NewKey:
    async with database.transaction() as session:
        return await create_key(session, role, "a test", **more)


async def role_of(database: Database, key: str) -> Role | None:
    async with database.transaction() as session:
        identity = await verify_key(session, key)
    return identity.role if identity else None


async def test_a_key_is_known_by_its_secret_alone(database: Database) -> None:
    made = await make(database, Role.OPERATOR)
    assert re.fullmatch(r"tl_[\w-]{43}", made.secret)
    assert made.secret.startswith(made.prefix)
    assert await role_of(database, made.secret) is Role.OPERATOR
    for wrong in (
        "",
        "tl_",
        made.prefix,
        made.secret[:-1],
        made.secret + "x",
        made.secret.swapcase(),
        "\ud800",
    ):
        assert await role_of(database, wrong) is None


async def test_the_secret_is_nowhere_in_the_database(database: Database) -> None:
    made = await make(database)
    async with database.transaction() as session:
        row = (await session.execute(text("SELECT api_keys::text FROM api_keys"))).scalar_one()
    assert made.secret not in row
    assert made.secret[len(made.prefix) :] not in row


async def test_expired_and_revoked_keys_are_refused(database: Database) -> None:
    expired = await make(database, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    valid = await make(database, expires_at=datetime.now(UTC) + timedelta(hours=1))
    assert await role_of(database, expired.secret) is None
    assert await role_of(database, valid.secret) is Role.VIEWER
    async with database.transaction() as session:
        assert await revoke_key(session, valid.id)
        assert not await revoke_key(session, valid.id)
        assert not await revoke_key(session, 10**6)
    assert await role_of(database, valid.secret) is None
    async with database.transaction() as session:
        assert [key.revoked_at is not None for key in await list_keys(session)] == [False, True]


async def test_use_is_noted_at_most_once_a_minute(database: Database) -> None:
    made = await make(database)

    async def last_used() -> datetime:
        async with database.transaction() as session:
            used = (await list_keys(session))[0].last_used_at
        assert used
        return used

    await role_of(database, made.secret)
    first = await last_used()
    await role_of(database, made.secret)
    assert await last_used() == first
    async with database.transaction() as session:
        await session.execute(text("UPDATE api_keys SET last_used_at = last_used_at - interval '61 s'"))
    await role_of(database, made.secret)
    assert await last_used() >= first


async def test_the_first_key_is_stored_once(database: Database) -> None:
    key = "tl_" + "k" * 43
    with capture_logs() as logs:
        async with database.transaction() as session:
            assert await ensure_first_key(session, key)
            assert not await ensure_first_key(session, key)
            assert not await ensure_first_key(session, "")
    assert await role_of(database, key) is Role.ADMIN
    assert key not in str(logs)


async def test_a_revoked_first_key_stays_revoked(database: Database) -> None:
    key = "chosen by an operator"
    async with database.transaction() as session:
        await ensure_first_key(session, key)
        (stored,) = await list_keys(session)
        assert stored.prefix == "cho"
        await revoke_key(session, stored.id)
    async with database.transaction() as session:
        assert not await ensure_first_key(session, key)
    assert await role_of(database, key) is None


async def test_a_short_first_key_is_refused_without_being_shown(database: Database) -> None:
    with pytest.raises(WeakKey, match="TRUNKLINE_ADMIN__API_KEY") as error:
        async with database.transaction() as session:
            await ensure_first_key(session, "hunter2")
    assert "hunter2" not in str(error.value)


def test_roles_include_those_below() -> None:
    assert [[role.includes(other) for other in Role] for role in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
