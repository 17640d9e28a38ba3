"""Keys over HTTP: changed and rotated, each change with who did it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from httpx import AsyncClient

from app.audit.service import OURSELVES
from app.auth.service import Role
from app.db.session import Database
from app.errors import Conflict
from app.keys.service import find_key, rotate_key
from tests.app.api_client import api_client


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[AsyncClient]:
    async with api_client(database, Role.ADMIN) as client:
        yield client


async def make(admin: AsyncClient) -> tuple[int, dict[str, str]]:
    made = (await admin.post("/keys", json={"role": "operator", "label": "desk"})).json()
    return made["id"], {"Authorization": f"Bearer {made['key']}"}


async def test_a_key_is_renamed_and_gets_an_end(admin: AsyncClient) -> None:
    key_id, headers = await make(admin)
    renamed = await admin.patch(f"/keys/{key_id}", json={"label": "desk 2"})
    assert (renamed.json()["label"], renamed.json()["expires_at"]) == ("desk 2", None)
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    ended = await admin.patch(f"/keys/{key_id}", json={"expires_at": past})
    assert ended.json()["label"] == "desk 2"
    assert (await admin.get("/voices", headers=headers)).status_code == 401
    assert (await admin.patch(f"/keys/{key_id}", json={"expires_at": None})).status_code == 409
    assert (await admin.patch("/keys/999", json={"label": "x"})).status_code == 404


async def test_a_rotated_key_works_on_for_the_overlap(admin: AsyncClient) -> None:
    key_id, old = await make(admin)
    made = await admin.post(f"/keys/{key_id}/rotate", params={"overlap_hours": "1"})
    new = {"Authorization": f"Bearer {made.json()['key']}"}
    assert {(await admin.get("/voices", headers=each)).status_code for each in (old, new)} == {200}
    ends = datetime.fromisoformat((await admin.get(f"/keys/{key_id}")).json()["expires_at"])
    assert timedelta(minutes=55) < ends - datetime.now(UTC) < timedelta(minutes=65)
    assert (await admin.get(f"/keys/{made.json()['id']}")).json()["role"] == "operator"

    last = await admin.post(f"/keys/{made.json()['id']}/rotate", params={"overlap_hours": "0"})
    assert last.status_code == 201
    assert (await admin.get("/voices", headers=new)).status_code == 401
    assert (await admin.post(f"/keys/{made.json()['id']}/rotate")).status_code == 409

    entries = (await admin.get("/audit", params={"resource": "keys", "sort": "id"})).json()["entries"]
    assert [entry["action"] for entry in entries] == ["create", "rotate", "create", "rotate", "create"]
    assert made.json()["key"] not in str(entries)


async def test_a_key_that_is_revoked_meanwhile_makes_no_other(admin: AsyncClient, database: Database) -> None:
    key_id, _ = await make(admin)
    async with database.transaction() as rotating:
        known = await find_key(rotating, key_id)
        assert (await admin.delete(f"/keys/{key_id}")).status_code == 204
        assert known.revoked_at is None
        with pytest.raises(Conflict):
            await rotate_key(rotating, OURSELVES, key_id, 1)
    entries = (await admin.get("/audit", params={"resource": "keys", "sort": "id"})).json()["entries"]
    assert [entry["action"] for entry in entries] == ["create", "revoke"]
    assert [bool(entries[1][when]["revoked_at"]) for when in ("before", "after")] == [False, True]
