"""Agents and numbers over HTTP: versions, references, who answers where, and agents tried as text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import AsyncClient, Response
from sqlalchemy import text

from app.agents.trying import TryingRoom
from app.api import ApiParts
from app.audit.change import Change
from app.audit.service import OURSELVES
from app.auth.service import Role
from app.db.session import Database
from app.engines.errors import EngineUnavailable
from app.engines.ports import Expectation, ToolCall
from app.voices.service import archive as archive_voice
from tests.app.api_client import api_client
from tests.fakes.language_model import FakeLanguageModel

PROFILE = {"name": "desk", "says": {"greeting": "Hello."}, "instructions": "Be brief."}


@pytest.fixture
def model() -> FakeLanguageModel:
    return FakeLanguageModel()


@pytest.fixture
async def admin(database: Database, model: FakeLanguageModel) -> AsyncIterator[AsyncClient]:
    parts = ApiParts(trying=TryingRoom(model, at_once=2, seconds=2.0), usual_agent="usual")
    async with api_client(database, Role.ADMIN, parts) as client:
        yield client


async def make(admin: AsyncClient, **changes: Any) -> Response:
    return await admin.post("/agents", json={"profile": PROFILE | changes})


def field_of(answer: Response) -> str:
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    return str(error["field"])


async def test_a_change_is_a_new_version_and_can_be_taken_back(admin: AsyncClient) -> None:
    made = await make(admin)
    assert (made.status_code, made.json()["active_version"]) == (201, 1)
    assert (await make(admin)).status_code == 409
    change = {"profile": PROFILE | {"says": {"greeting": "Hi."}}, "note": "shorter"}
    assert (await admin.put("/agents/desk", json=change)).status_code == 428
    changed = await admin.put("/agents/desk", json=change, headers={"If-Match": made.headers["etag"]})
    assert (changed.json()["active_version"], changed.json()["profile"]["says"]["greeting"]) == (2, "Hi.")

    draft = await admin.post("/agents/desk/versions", json=change)
    assert (draft.json()["version"], draft.json()["active"]) == (3, False)
    listed = (await admin.get("/agents/desk/versions", params={"fields": "version,active"})).json()
    assert listed["versions"] == [
        {"version": 3, "active": False},
        {"version": 2, "active": True},
        {"version": 1, "active": False},
    ]
    assert (await admin.post("/agents/desk/versions/3/activate")).json()["active_version"] == 3
    assert (await admin.post("/agents/desk/rollback")).json()["active_version"] == 2
    assert (await admin.post("/agents/desk/versions/9/activate")).status_code == 404


async def test_a_rollback_takes_what_answered_calls_before(admin: AsyncClient) -> None:
    await make(admin)
    assert (await admin.post("/agents/desk/rollback")).status_code == 409
    change = {"profile": PROFILE}
    await admin.post("/agents/desk/versions", json=change)
    assert (await admin.post("/agents/desk/rollback")).status_code == 409  # version 2 is a draft
    await admin.put("/agents/desk", json=change, headers={"If-Match": "*"})
    assert (await admin.post("/agents/desk/rollback")).json()["active_version"] == 1
    assert (await admin.post("/agents/desk/rollback")).json()["active_version"] == 3
    await admin.post("/agents/desk/versions/1/activate")
    assert (await admin.post("/agents/desk/rollback")).json()["active_version"] == 3
    versions = (await admin.get("/agents/desk/versions", params={"sort": "version"})).json()["versions"]
    assert [version["activated_at"] is not None for version in versions] == [True, False, True]


async def test_an_archived_agent_answers_again_if_it_can(admin: AsyncClient, database: Database) -> None:
    any_version = {"If-Match": "*"}
    await admin.post("/voices", json={"name": "friendly"})
    await make(admin, voice={"stored": "friendly"})
    await admin.delete("/agents/desk", headers=any_version)
    await admin.delete("/voices/friendly", headers=any_version)
    refused = await admin.post("/agents/desk/restore")
    assert (refused.status_code, "'friendly'" in refused.json()["detail"]) == (409, True)
    await admin.post("/voices/friendly/restore")

    async with database.transaction() as session:
        await archive_voice(Change(session, OURSELVES), "friendly")
        restoring = asyncio.create_task(admin.post("/agents/desk/restore"))
        await asyncio.sleep(0.2)
        assert not restoring.done()
    assert (await restoring).status_code == 409

    await admin.post("/voices/friendly/restore")
    assert (await admin.post("/agents/desk/restore")).json()["archived_at"] is None
    query = {"resource": "agents", "sort": "id"}
    entries = (await admin.get("/audit", params=query)).json()["entries"]
    assert [entry["action"] for entry in entries] == ["create", "archive", "restore"]
    shown = [
        (bool(entry["before"]["archived_at"]), bool(entry["after"]["archived_at"])) for entry in entries[1:]
    ]
    assert shown == [(False, True), (True, False)]


async def test_an_agent_whose_stored_profile_does_not_fit_can_be_mended(
    admin: AsyncClient, database: Database
) -> None:
    await make(admin)
    stored = {"name": "desk", "title": 7, "voice": "Anna", "old": True}
    async with database.transaction() as session:
        await session.execute(
            text("UPDATE agent_versions SET profile = cast(:stored AS jsonb)"), {"stored": json.dumps(stored)}
        )
    (listed,) = (await admin.get("/agents")).json()["agents"]
    assert (listed["title"], listed["voice"]) == ("", None)
    shown = await admin.get("/agents/desk")
    assert shown.json()["profile"] == stored
    await admin.delete("/agents/desk", headers={"If-Match": "*"})
    refused = await admin.post("/agents/desk/restore")
    assert (refused.status_code, "does not fit" in refused.json()["detail"]) == (409, True)
    mended = await admin.put("/agents/desk", json={"profile": PROFILE}, headers={"If-Match": "*"})
    assert mended.status_code == 200
    assert (await admin.post("/agents/desk/restore")).status_code == 200


async def test_a_wrong_profile_is_refused_by_the_name_of_its_field(admin: AsyncClient) -> None:
    assert field_of(await make(admin, turns={"pause_seconds": -1})) == "body.profile.turns.pause_seconds"
    assert field_of(await make(admin, prompt="nowhere")) == "body.profile.prompt"
    assert field_of(await make(admin, voice={"stored": "nobody"})) == "body.profile.voice.stored"
    await make(admin)
    other = {"profile": PROFILE | {"name": "other"}}
    assert field_of(await admin.put("/agents/desk", json=other, headers={"If-Match": "*"})) == (
        "body.profile.name"
    )


async def test_what_an_agent_uses_stays_and_so_does_an_agent_that_is_used(admin: AsyncClient) -> None:
    await admin.post("/prompts", json={"name": "welcome", "content": "You answer."})
    assert field_of(await make(admin, prompt="welcome")) == "body.profile.prompt"  # no version is active
    await admin.post("/prompts/welcome/versions/1/activate")
    await admin.post("/voices", json={"name": "friendly"})
    made = await make(admin, prompt="welcome", voice={"stored": "friendly"})
    assert (made.json()["prompt"], made.json()["voice"]) == ("welcome", "friendly")
    any_version = {"If-Match": "*"}
    refused = await admin.delete("/voices/friendly", headers=any_version)
    assert (refused.status_code, "desk" in refused.json()["detail"]) == (409, True)

    number = {"number": "+4930123456", "agent": "desk"}
    assert (await admin.post("/numbers", json=number)).status_code == 201
    refused = await admin.delete("/agents/desk", headers=any_version)
    assert (refused.status_code, "+4930123456" in refused.json()["detail"]) == (409, True)
    assert (await admin.delete("/numbers/+4930123456", headers=any_version)).status_code == 204
    assert (await admin.delete("/agents/desk", headers=any_version)).status_code == 204
    assert (await admin.get("/agents")).json()["agents"] == []
    assert field_of(await admin.post("/numbers", json=number)) == "body.agent"
    assert (await admin.delete("/voices/friendly", headers=any_version)).status_code == 204

    await make(admin, name="usual")
    refused = await admin.delete("/agents/usual", headers=any_version)
    assert "TRUNKLINE_CALLS__AGENT" in refused.json()["detail"]


async def test_numbers_tell_who_answers_when(admin: AsyncClient) -> None:
    await make(admin)
    await make(admin, name="night")
    opening = {
        "timezone": "Europe/Berlin",
        "weekly": {"monday": [{"begins": "09:00", "ends": "17:00"}]},
        "closed": {"then": "agent", "agent": "night"},
    }
    number = {"number": "+4930123456", "agent": "desk", "opening": opening}
    made = await admin.post("/numbers", json=number)
    assert made.status_code == 201

    async def answers(at: str) -> tuple[bool, str | None]:
        found = (await admin.get("/numbers/+4930123456/answer", params={"at": at})).json()
        return found["open"], found["agent"]

    assert await answers("2026-11-23T09:00:00+01:00") == (True, "desk")
    assert await answers("2026-11-24T09:00:00+01:00") == (False, "night")
    opening["closed"] = {"then": "transfer", "number": "+4930654321", "say": "One moment."}
    change = {"agent": "desk", "opening": opening}
    tag = {"If-Match": made.headers["etag"]}
    assert (await admin.put("/numbers/+4930123456", json=change, headers=tag)).status_code == 200
    found = (await admin.get("/numbers/+4930123456/answer", params={"at": "2026-11-24T09:00:00Z"})).json()
    assert (found["then"], found["transfer_to"], found["say"]) == ("transfer", "+4930654321", "One moment.")


@pytest.mark.parametrize("number", ["123", "+49", "+4930", "0301234567", "+999123456789", "+1555"])
async def test_what_is_no_number_is_refused(admin: AsyncClient, number: str) -> None:
    await make(admin)
    assert field_of(await admin.post("/numbers", json={"number": number, "agent": "desk"})) == "body.number"


# Tried as text


async def events(answer: Response) -> list[tuple[str, dict[str, Any]]]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_an_agent_answers_as_in_a_call(admin: AsyncClient, model: FakeLanguageModel) -> None:
    tables = {"parcels": {"17": {"status": "on its way"}}}
    await make(admin, tables=tables)
    look_up = ToolCall("1", "look_up", {"table": "parcels", "key": "17"})
    model.replies.extend([["Let me see. ", look_up], ["It is on its way.", Expectation("yes_no")]])
    messages = [
        {"role": "assistant", "text": "Hello."},
        {"role": "user", "text": "Where is parcel 17?"},
    ]
    told = await events(await admin.post("/agents/desk/try", json={"messages": messages}))
    assert [name for name, _ in told] == ["text", "tool", "text", "expects", "done"]
    assert json.loads(told[1][1]["result"]) == {"found": True, "status": "on its way"}
    done = told[-1][1]
    assert (done["text"], done["then"], done["tools"]) == (
        "Let me see. It is on its way.",
        "listen",
        ["look_up"],
    )
    first, second = model.requests
    assert [(message.role, message.text) for message in first.messages] == [
        ("system", "Be brief."),
        ("assistant", "Hello."),
        ("user", "Where is parcel 17?"),
    ]
    assert [message.role for message in second.messages][-2:] == ["assistant", "tool"]
    assert {tool.name for tool in first.tools} == {"look_up", "transfer_call", "end_call"}


async def test_nobody_is_transferred_by_a_try(admin: AsyncClient, model: FakeLanguageModel) -> None:
    await make(admin)
    model.replies.append(["I will connect you. ", ToolCall("1", "transfer_call", {})])
    wanted = {"messages": [{"role": "user", "text": "A person, please."}]}
    told = await events(await admin.post("/agents/desk/try", json=wanted))
    assert told[-1][1]["then"] == "transfer"


async def test_what_is_not_stored_can_be_tried(admin: AsyncClient, model: FakeLanguageModel) -> None:
    await make(admin)
    wanted: dict[str, Any] = {"messages": [{"role": "user", "text": "Hello?"}]}
    await admin.post("/agents/desk/try", json=wanted | {"instructions": "Be long."})
    profile = PROFILE | {"instructions": "Be kind."}
    await admin.post("/agents/desk/try", json=wanted | {"profile": profile})
    assert [request.messages[0].text for request in model.requests] == ["Be long.", "Be kind."]
    assert (await admin.get("/agents/desk")).json()["newest_version"] == 1
    ends_wrong = {"messages": [{"role": "assistant", "text": "Hello."}]}
    assert field_of(await admin.post("/agents/desk/try", json=ends_wrong)) == "body.messages"
    assert (await admin.post("/agents/nobody/try", json=wanted)).status_code == 404


async def test_a_model_that_is_away_is_a_problem_and_one_that_breaks_off_an_event(
    admin: AsyncClient, model: FakeLanguageModel
) -> None:
    await make(admin)
    wanted = {"messages": [{"role": "user", "text": "Hello?"}]}
    model.replies.append([EngineUnavailable("fake", "gone")])
    away = await admin.post("/agents/desk/try", json=wanted)
    assert away.status_code == 503
    assert away.headers["content-type"] == "application/problem+json"
    model.replies.append(["Good ", EngineUnavailable("fake", "gone")])
    told = await events(await admin.post("/agents/desk/try", json=wanted))
    assert [name for name, _ in told] == ["text", "error"]


async def test_tries_are_few_and_short(admin: AsyncClient, model: FakeLanguageModel) -> None:
    await make(admin)
    model.otherwise = ("Well ", 30.0)
    wanted = {"messages": [{"role": "user", "text": "Hello?"}]}
    answers = await asyncio.gather(*(admin.post("/agents/desk/try", json=wanted) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429]
    slow = next(answer for answer in answers if answer.status_code == 200)
    assert [name for name, _ in await events(slow)] == ["text", "error"]
    assert model.running == 0
