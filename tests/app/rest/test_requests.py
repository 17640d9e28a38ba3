"""What every route of the admin API does alike: repeated requests, limits, media types, names of requests."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient, Response
from sqlalchemy import text

from app.api import ApiParts
from app.auth.service import Role
from app.db.session import Database
from app.rest.limiting import RateLimits
from app.rest.once import forget_old_answers
from tests.app.api_client import api_client

PROMPT = {"name": "welcome", "title": "Welcome", "content": "You answer the telephone."}


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[AsyncClient]:
    async with api_client(database, Role.ADMIN) as client:
        yield client


def problem(answer: Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = answer.json()
    return content


async def make(client: AsyncClient, key: str, **changes: str) -> Response:
    return await client.post("/prompts", json=PROMPT | changes, headers={"Idempotency-Key": key})


async def test_a_post_sent_again_is_answered_again_and_done_once(admin: AsyncClient) -> None:
    first, second = await make(admin, "one"), await make(admin, "one")
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert [second.headers[name] for name in ("etag", "location")] == [
        first.headers[name] for name in ("etag", "location")
    ]
    assert len((await admin.get("/prompts")).json()["prompts"]) == 1


async def test_another_request_with_the_same_key_is_refused(admin: AsyncClient) -> None:
    await make(admin, "one")
    refused = problem(await make(admin, "one", title="Another"), 422)
    assert [error["field"] for error in refused["errors"]] == ["header.Idempotency-Key"]
    other_path = await admin.post("/voices", json=PROMPT, headers={"Idempotency-Key": "one"})
    problem(other_path, 422)


async def test_a_key_of_a_request_that_failed_can_be_used_again(admin: AsyncClient) -> None:
    problem(await make(admin, "one", name="No Slug"), 422)
    assert (await make(admin, "one")).status_code == 201


async def test_two_clients_may_use_the_same_key(database: Database, admin: AsyncClient) -> None:
    async with api_client(database, Role.ADMIN) as other:
        assert (await make(admin, "one")).status_code == 201
        assert (await make(other, "one", name="other")).json()["name"] == "other"


async def test_at_once_only_one_is_done(admin: AsyncClient) -> None:
    await admin.post("/prompts", json=PROMPT)
    draft = admin.build_request(
        "POST", "/prompts/welcome/versions", json={"content": "Hi."}, headers={"Idempotency-Key": "one"}
    )
    answers = await asyncio.gather(*(admin.send(draft) for _ in range(8)))
    statuses = sorted(answer.status_code for answer in answers)
    assert set(statuses) <= {201, 409}
    assert statuses[0] == 201
    fresh = [each for each in answers if each.status_code == 201]
    assert sum("idempotent-replayed" not in each.headers for each in fresh) == 1
    assert len((await admin.get("/prompts/welcome/versions")).json()["versions"]) == 2


async def test_an_answer_with_a_secret_is_not_kept(database: Database, admin: AsyncClient) -> None:
    wanted = {"role": "viewer", "label": "wallboard"}
    made = await admin.post("/keys", json=wanted, headers={"Idempotency-Key": "k"})
    assert made.status_code == 201
    again = problem(await admin.post("/keys", json=wanted, headers={"Idempotency-Key": "k"}), 409)
    assert f"/api/v1/keys/{made.json()['id']};" in again["detail"]
    assert len((await admin.get("/keys")).json()["keys"]) == 2
    async with database.transaction() as session:
        for table in ("idempotent_requests", "audit_log"):
            stored = " ".join(await session.scalars(text(f"SELECT {table}::text FROM {table}")))
            assert stored
            assert made.json()["key"] not in stored
            assert made.json()["key"].encode().hex() not in stored


async def test_answers_are_kept_for_a_day(database: Database, admin: AsyncClient) -> None:
    await make(admin, "old")
    async with database.transaction() as session:
        assert await forget_old_answers(session) == 0
        await session.execute(text("UPDATE idempotent_requests SET created_at = now() - interval '25 h'"))
        assert await forget_old_answers(session) == 1
    problem(await make(admin, "old"), 409)  # the prompt is there, and its answer is not


async def test_an_answer_is_not_repeated_after_a_day_though_nobody_swept(
    database: Database, admin: AsyncClient
) -> None:
    await admin.post("/prompts", json=PROMPT)

    async def draft() -> Response:
        headers = {"Idempotency-Key": "old"}
        return await admin.post("/prompts/welcome/versions", json={"content": "Hi."}, headers=headers)

    assert (await draft()).json()["version"] == 2
    async with database.transaction() as session:
        await session.execute(text("UPDATE idempotent_requests SET created_at = now() - interval '25 h'"))
    anew = await draft()
    assert (anew.json()["version"], "idempotent-replayed" in anew.headers) == (3, False)
    again = await draft()
    assert (again.json()["version"], again.headers["idempotent-replayed"]) == (3, "true")


async def test_a_secret_of_what_was_there_is_not_said_to_have_made_something(admin: AsyncClient) -> None:
    made = (await admin.post("/webhooks", json={"url": "https://crm.example.com/calls"})).json()
    path, headers = f"/webhooks/{made['id']}/rotate", {"Idempotency-Key": "k"}
    assert (await admin.post(path, headers=headers)).status_code == 200
    again = problem(await admin.post(path, headers=headers), 409)
    assert again["detail"].startswith("this request was done; its answer held a secret")
    assert "revoke" not in again["detail"]


async def test_a_cursor_is_for_the_list_that_it_was_made_in(admin: AsyncClient) -> None:
    for name in ("a", "b"):
        await admin.post("/prompts", json=PROMPT | {"name": name})
        await admin.post("/voices", json={"name": name})
        await admin.post(f"/prompts/{name}/versions", json={"content": "Hi."})
    for path, other in (("/prompts", "/voices"), ("/prompts/a/versions", "/prompts/b/versions")):
        cursor = (await admin.get(path, params={"limit": 1})).json()["next_cursor"]
        assert (await admin.get(path, params={"cursor": cursor})).status_code == 200
        refused = problem(await admin.get(other, params={"cursor": cursor}), 422)
        assert refused["errors"][0]["field"] == "query.cursor"
        assert "not a cursor of this list" in refused["detail"]


async def test_only_json_is_taken(admin: AsyncClient) -> None:
    for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "application/xml"}, {}):
        answer = await admin.post("/prompts", content=b'{"name": "a"}', headers=headers)
        assert "application/json" in problem(answer, 415)["detail"]
    assert problem(await admin.post("/prompts"), 422)["errors"][0]["field"] == "body"
    broken = await admin.post("/prompts", content=b"{", headers={"Content-Type": "application/json"})
    assert problem(broken, 422)["errors"][0]["field"].startswith("body")


async def test_a_large_body_is_refused_however_it_comes(database: Database) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 100

    parts = ApiParts(body_bytes=2000)
    async with api_client(database, Role.ADMIN, parts) as client:
        for content in (b" " * 2001, pieces()):
            answer = await client.post(
                "/prompts", content=content, headers={"Content-Type": "application/json"}
            )
            assert "2000 bytes" in problem(answer, 413)["detail"]


async def test_a_key_has_its_share_and_others_theirs(database: Database) -> None:
    parts = ApiParts(limits=RateLimits(key_requests=5, other_requests=3))
    async with api_client(database, Role.VIEWER, parts) as client:
        answers = [await client.get("/calls") for _ in range(7)]  # the first one introduces the key
    assert [answer.status_code for answer in answers] == [200] * 6 + [429]
    assert "Retry-After" in problem(answers[-1], 429)["detail"]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert answers[1].headers["ratelimit-policy"] == '"requests";q=5;w=60'
    assert answers[1].headers["ratelimit"].startswith('"requests";r=4;t=')


async def test_guessing_keys_is_slow_and_costs_nobody_else(database: Database) -> None:
    parts = ApiParts(limits=RateLimits(key_requests=50, other_requests=4))
    async with api_client(database, Role.VIEWER, parts) as client:
        assert (await client.get("/calls")).status_code == 200
        guesses = [
            (await client.get("/calls", headers={"Authorization": f"Bearer tl_{number}"})).status_code
            for number in range(6)
        ]
        assert guesses == [401] * 3 + [429] * 3
        assert (await client.get("/calls")).status_code == 200  # a key that was let in before


async def test_a_revoked_key_counts_for_its_address_again(database: Database) -> None:
    parts = ApiParts(limits=RateLimits(key_requests=50, other_requests=3))
    async with api_client(database, Role.ADMIN, parts) as client:
        assert (await client.get("/keys")).status_code == 200
        (key,) = (await client.get("/keys")).json()["keys"]
        assert (await client.delete(f"/keys/{key['id']}")).status_code == 204
        assert [(await client.get("/keys")).status_code for _ in range(4)] == [401, 401, 401, 429]


async def test_without_redis_each_process_counts(database: Database) -> None:
    limits = RateLimits(key_requests=5, other_requests=3, redis_url="redis://127.0.0.1:1/0")
    async with api_client(database, None, ApiParts(limits=limits)) as client:
        assert [(await client.get("/calls")).status_code for _ in range(5)] == [401] * 3 + [429] * 2


async def test_a_request_has_a_name(admin: AsyncClient) -> None:
    given = await admin.get("/calls", headers={"X-Request-Id": "desk-17"})
    assert given.headers["x-request-id"] == "desk-17"
    for wrong in ("a b", "x" * 65, ""):
        made = (await admin.get("/calls", headers={"X-Request-Id": wrong})).headers["x-request-id"]
        assert len(made) == 32
    assert (await admin.get("/nowhere")).headers["x-request-id"]


async def test_a_refused_method_names_all_that_are_possible(admin: AsyncClient) -> None:
    refused = await admin.put("/keys/1", json={})
    problem(refused, 405)
    assert refused.headers["allow"] == "DELETE, GET, PATCH"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/agents", b'{"profile": {"name": "a", "title": "\\ud800"}}'),
        ("/agents", b'{"profile": {"name": "a", "tables": {"t": {"\\uDFFF": {}}}}}'),
        ("/agents", b'{"profile": {"name": "a", "says": {"greeting": "a\\u0000b"}}}'),
        ("/agents", b'{"profile": {"name": "a", "turns": {"pause_seconds": NaN}}}'),
        ("/voices", b'{"name": "a", "rate": Infinity}'),
        ("/voices", b"\xff\xfe"),
    ],
)
async def test_what_cannot_be_stored_is_refused(admin: AsyncClient, path: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert problem(await admin.post(path, content=body, headers=headers), 422)["detail"]
    emoji = b'{"name": "smile", "title": "\\ud83d\\ude00"}'
    assert (await admin.post("/voices", content=emoji, headers=headers)).json()["title"] == "\U0001f600"


async def test_a_body_nested_without_end_is_refused(admin: AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    problem(await admin.post("/voices", content=b"[" * 100_000, headers=headers), 400)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """URL of a Redis server of the test's own."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    path = tmp_path / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        give_up = time.monotonic() + 10
        while not path.exists():
            assert time.monotonic() < give_up
            time.sleep(0.02)
        yield f"unix://{path}"
        server.terminate()


async def test_redis_counts_for_all_processes(database: Database, redis: str) -> None:
    statuses = []
    for _ in range(2):  # processes
        limits = RateLimits(5, 3, redis)
        async with api_client(database, None, ApiParts(limits=limits)) as client:
            statuses += [(await client.get("/calls")).status_code for _ in range(2)]
        await limits.close()
    assert statuses == [401, 401, 401, 429]
