"""Who gets in: keys and roles over HTTP, and errors that tell nothing of our insides."""

from __future__ import annotations

from typing import Any

import pytest
from httpx import Headers, Response

from app.auth.service import Role
from app.db.session import Database
from tests.app.api_client import api_client


def problem(answer: Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = answer.json()
    assert content["status"] == status
    assert content["type"] == "about:blank"
    assert content["title"]
    return content


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer tl_wrong", "Basic dGw6dGw=", "tl_wrong", "Bearer \xff\xfe"],
)
@pytest.mark.parametrize("path", ["/calls", "/calls/17", "/latency", "/keys", "/calls?limit=0"])
async def test_without_a_valid_key_nothing_is_told(
    database: Database, path: str, authorization: str | None
) -> None:
    headers = Headers()
    if authorization is not None:
        headers = Headers([(b"Authorization", authorization.encode("latin-1"))])
    async with api_client(database, None) as client:
        answer = await client.get(path, headers=headers)
    assert "API key" in problem(answer, 401)["detail"]
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_keys_are_for_admins(database: Database, role: Role) -> None:
    async with api_client(database, role) as client:
        assert problem(await client.get("/keys"), 403)["detail"] == (
            f"this needs the role admin, and your key's role is {role.value}"
        )
        problem(await client.post("/keys", json={"role": "admin", "label": "mine"}), 403)
        problem(await client.delete("/keys/1"), 403)
        assert (await client.get("/calls")).status_code == 200


async def test_an_admin_makes_and_revokes_a_key(database: Database) -> None:
    async with api_client(database, Role.ADMIN) as admin, api_client(database, None) as client:
        made = await admin.post("/keys", json={"role": "viewer", "label": "wallboard"})
        assert made.status_code == 201
        key = made.json()
        headers = {"Authorization": f"Bearer {key['key']}"}
        assert (await client.get("/calls", headers=headers)).status_code == 200

        listed = (await admin.get("/keys")).json()["keys"]
        assert [(entry["label"], entry["role"]) for entry in listed] == [
            ("test", "admin"),
            ("wallboard", "viewer"),
        ]
        assert key["key"] not in str(listed)

        assert (await admin.delete(f"/keys/{key['id']}")).status_code == 204
        problem(await client.get("/calls", headers=headers), 401)
        problem(await admin.delete(f"/keys/{key['id']}"), 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "god", "label": "x"}, "body.role"),
        ({"role": "viewer"}, "body.label"),
        ({"role": "viewer", "label": "a\x00b"}, "body.label"),
        ({"role": "viewer", "label": "x", "expires_at": "2026-01-01"}, "body.expires_at"),
        ({"role": "viewer", "label": "x", "colour": "red"}, "body.colour"),
    ],
)
async def test_a_wrong_field_is_named(database: Database, body: dict[str, str], field: str) -> None:
    async with api_client(database, Role.ADMIN) as admin:
        answer = problem(await admin.post("/keys", json=body), 422)
    assert [error["field"] for error in answer["errors"]] == [field]


async def test_what_is_not_there_and_what_cannot_be_done(database: Database) -> None:
    async with api_client(database) as client:
        assert "/api/v1/openapi.json" in problem(await client.get("/nowhere"), 404)["detail"]
        problem(await client.post("/calls"), 405)


async def test_the_description_tells_of_keys_and_problems(database: Database) -> None:
    async with api_client(database, None) as client:
        description = (await client.get("/openapi.json")).json()
    assert description["servers"] == [{"url": "/api/v1"}]
    assert {"/calls", "/calls/{call_id}", "/keys", "/keys/{key_id}"} <= set(description["paths"])
    listed = description["paths"]["/calls"]["get"]
    assert listed["security"] == [{"HTTPBearer": []}]
    assert set(listed["responses"]) == {"200", "401", "403", "422", "429", "503"}
    assert list(listed["responses"]["422"]["content"]) == ["application/problem+json"]


async def get_with_key(database: Database) -> Response:
    async with api_client(database, None) as client:
        return await client.get("/calls", headers={"Authorization": "Bearer tl_any"})


async def test_an_absent_database_is_said_so(database: Database) -> None:
    answer = await get_with_key(Database("postgresql://secret_name:secret_word@127.0.0.1:1/none"))
    assert "database is away" in problem(answer, 503)["detail"]
    assert answer.headers["retry-after"] == "5"
    assert "secret" not in answer.text


async def test_our_own_faults_show_no_insides(database: Database, empty_database_url: str) -> None:
    class Broken(Database):
        def transaction(self) -> Any:
            raise RuntimeError("the inside story")

    problem(await get_with_key(Broken(empty_database_url)), 500)
    assert "inside" not in (await get_with_key(Broken(empty_database_url))).text
