"""Prompts over HTTP: drafts, activation, the way back, and who changed what."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from httpx import AsyncClient

from app.auth.service import Role
from app.db.session import Database
from tests.app.api_client import api_client


@pytest.fixture
async def operator(database: Database) -> AsyncIterator[AsyncClient]:
    async with api_client(database, Role.OPERATOR) as client:
        yield client


async def make(client: AsyncClient, *contents: str) -> None:
    answer = await client.post("/prompts", json={"name": "welcome", "content": contents[0]})
    assert answer.status_code == 201
    for content in contents[1:]:
        assert (await client.post("/prompts/welcome/versions", json={"content": content})).status_code == 201


async def states(client: AsyncClient) -> dict[int, str]:
    versions = (await client.get("/prompts/welcome/versions?sort=version")).json()["versions"]
    return {version["version"]: version["state"] for version in versions}


async def test_a_draft_becomes_active_and_the_one_before_archived(operator: AsyncClient) -> None:
    await make(operator, "One.", "Two.")
    assert (await operator.get("/prompts/welcome")).json()["content"] is None
    assert await states(operator) == {1: "draft", 2: "draft"}
    first = await operator.post("/prompts/welcome/versions/1/activate")
    assert (first.json()["active_version"], first.json()["content"]) == (1, "One.")
    await operator.post("/prompts/welcome/versions/2/activate")
    assert await states(operator) == {1: "archived", 2: "active"}
    again = await operator.post("/prompts/welcome/versions/2/activate")
    assert again.status_code == 200
    back = await operator.post("/prompts/welcome/rollback")
    assert back.json()["active_version"] == 1
    assert await states(operator) == {1: "active", 2: "archived"}


async def test_only_a_draft_is_edited(operator: AsyncClient) -> None:
    await make(operator, "One.")
    path, change = "/prompts/welcome/versions/1", {"content": "Uno.", "note": "shorter"}
    tag = {"If-Match": (await operator.get(path)).headers["etag"]}
    assert (await operator.put(path, json=change)).status_code == 428
    edited = await operator.put(path, json=change, headers=tag)
    assert (edited.json()["content"], edited.json()["note"]) == ("Uno.", "shorter")
    assert (await operator.put(path, json=change, headers=tag)).status_code == 412
    await operator.post(f"{path}/activate")
    refused = await operator.put(path, json=change, headers={"If-Match": "*"})
    assert refused.status_code == 409
    assert "make a new version" in refused.json()["detail"]


async def test_a_prompt_that_answered_calls_stays(operator: AsyncClient) -> None:
    await make(operator, "One.")
    assert (await operator.post("/prompts/welcome/rollback")).status_code == 409
    await operator.post("/prompts/welcome/versions/1/activate")
    assert (await operator.delete("/prompts/welcome", headers={"If-Match": "*"})).status_code == 409
    await operator.post("/prompts", json={"name": "unused", "content": "x"})
    assert (await operator.delete("/prompts/unused", headers={"If-Match": "*"})).status_code == 204
    assert (await operator.get("/prompts/unused")).status_code == 404


async def test_a_prompt_that_is_made_anew_has_no_tag_of_the_one_before(operator: AsyncClient) -> None:
    await make(operator, "One.")
    old = (await operator.get("/prompts/welcome")).headers["etag"]
    assert (await operator.delete("/prompts/welcome", headers={"If-Match": old})).status_code == 204
    await make(operator, "Another.")
    for _ in range(3):
        known = await operator.get("/prompts/welcome", headers={"If-None-Match": old})
        assert (known.status_code, known.headers["etag"] == old) == (200, False)
        await operator.post("/prompts/welcome/versions", json={"content": "More."})
    assert (await operator.delete("/prompts/welcome", headers={"If-Match": old})).status_code == 412


async def test_versions_are_compared(operator: AsyncClient) -> None:
    await make(operator, "You answer.\nBe brief.", "You answer.\nBe very brief.")
    found = (await operator.get("/prompts/welcome/diff?before=1&after=2")).json()
    assert "-Be brief.\n+Be very brief." in found["diff"]
    assert (await operator.get("/prompts/welcome/diff?before=1&after=1")).json()["diff"] == ""
    assert (await operator.get("/prompts/welcome/diff?before=1&after=9")).status_code == 404


async def test_every_change_is_in_the_audit_log(operator: AsyncClient, database: Database) -> None:
    await make(operator, "One.", "Two.")
    await operator.post("/prompts/welcome/versions/1/activate")
    await operator.put("/prompts/welcome", json={"title": "Hi"}, headers={"If-Match": '"9"'})  # refused
    assert (await operator.get("/audit")).status_code == 403
    async with api_client(database, Role.ADMIN) as admin:
        page = (await admin.get("/audit", params={"resource": "prompts", "sort": "id"})).json()
        assert [entry["action"] for entry in page["entries"]] == ["create", "activate"]
        created, activated = page["entries"]
        assert created["actor"].startswith("tl_")
        assert created["actor"].endswith(" test")
        assert (created["before"], created["after"]["content"]) == (None, "One.")
        assert activated["before"] == {"active_version": None}
        assert activated["after"] == {"active_version": 1}
        assert len((await admin.get("/audit?limit=1")).json()["entries"]) == 1
        later = {"since": activated["at"], "resource_id": "welcome", "key_id": str(created["key_id"])}
        assert len((await admin.get("/audit", params=later)).json()["entries"]) == 1
