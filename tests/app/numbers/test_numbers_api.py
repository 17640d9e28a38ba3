"""Numbers over HTTP: made anew, and mended where what is stored does not fit."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from httpx import AsyncClient
from sqlalchemy import text

from app.auth.service import Role
from app.db.session import Database
from tests.app.api_client import api_client

NUMBER = "+4930123456"
PATH = f"/numbers/{NUMBER}"


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[AsyncClient]:
    async with api_client(database, Role.ADMIN) as client:
        await client.post("/agents", json={"profile": {"name": "desk"}})
        yield client


async def make(admin: AsyncClient) -> str:
    """The tag of a new number."""
    made = await admin.post("/numbers", json={"number": NUMBER, "agent": "desk"})
    assert made.status_code == 201
    return made.headers["etag"]


async def test_a_number_that_is_made_anew_has_no_tag_of_the_one_before(admin: AsyncClient) -> None:
    old = await make(admin)
    assert (await admin.delete(PATH, headers={"If-Match": old})).status_code == 204
    assert await make(admin) != old
    assert (await admin.get(PATH, headers={"If-None-Match": old})).status_code == 200
    change = {"agent": "desk", "title": "Desk"}
    assert (await admin.put(PATH, json=change, headers={"If-Match": old})).status_code == 412
    assert (await admin.delete(PATH, headers={"If-Match": old})).status_code == 412


async def test_a_number_whose_stored_hours_do_not_fit_can_be_mended(
    admin: AsyncClient, database: Database
) -> None:
    stored = {"timezone": "Mars/Olympus", "weekly": {}, "closed": {"then": "hang_up"}}

    async def break_it() -> None:
        await make(admin)
        async with database.transaction() as session:
            values = {"stored": json.dumps(stored)}
            await session.execute(text("UPDATE numbers SET opening = cast(:stored AS jsonb)"), values)

    await break_it()
    (listed,) = (await admin.get("/numbers")).json()["numbers"]
    shown = await admin.get(PATH)
    assert listed["opening"] == shown.json()["opening"] == stored
    tag = {"If-Match": shown.headers["etag"]}
    mended = await admin.put(PATH, json={"agent": "desk"}, headers=tag)
    assert (mended.status_code, mended.json()["opening"]) == (200, None)
    entry = (await admin.get("/audit", params={"resource": "numbers"})).json()["entries"][0]
    assert (entry["action"], entry["before"]["opening"]) == ("change", stored)

    assert (await admin.delete(PATH, headers={"If-Match": "*"})).status_code == 204
    await break_it()
    assert (await admin.delete(PATH, headers={"If-Match": "*"})).status_code == 204
