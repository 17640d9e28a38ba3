"""``GET /numbers/{number}/answer`` says what the next call will find."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import text

from app.agents.directory import AgentDirectory
from app.agents.loading import load_once
from app.api import ApiParts
from app.auth.service import Role
from app.db.session import Database
from tests.app.api_client import api_client

OURS = "+4930123456"
CLOSED = {"timezone": "UTC", "closed": {"then": "agent", "agent": "night"}}


@pytest.fixture
async def directory() -> AgentDirectory:
    return AgentDirectory({})


@pytest.fixture
async def admin(database: Database, directory: AgentDirectory) -> AsyncIterator[AsyncClient]:
    parts = ApiParts(usual_agent="usual", has_agent=directory.has)
    async with api_client(database, Role.ADMIN, parts) as client:
        for name in ("usual", "desk", "night"):
            made = await client.post("/agents", json={"profile": {"name": name}})
            assert made.status_code == 201
        number = {"number": OURS, "agent": "desk", "opening": CLOSED}
        assert (await client.post("/numbers", json=number)).status_code == 201
        yield client


async def answer(admin: AsyncClient) -> dict[str, Any]:
    found = await admin.get(f"/numbers/{OURS}/answer", params={"at": "2026-11-24T09:00:00Z"})
    content: dict[str, Any] = found.json()
    return content


async def test_an_agent_that_cannot_answer_is_not_named(
    database: Database, admin: AsyncClient, directory: AgentDirectory
) -> None:
    loaded = await load_once(database)
    for missing, expected in ((set(), "night"), ({"night"}, "desk"), ({"night", "desk"}, "usual")):
        known = {name: agent for name, agent in loaded.agents.items() if name not in missing}
        directory.replace(known, loaded.lines)
        found = await answer(admin)
        assert (found["open"], found["then"], found["agent"]) == (False, "agent", expected)


async def test_hours_that_do_not_fit_are_no_hours_as_in_a_call(
    database: Database, admin: AsyncClient, directory: AgentDirectory
) -> None:
    async with database.transaction() as session:
        await session.execute(text("""UPDATE numbers SET opening = '{"timezone": "Europe/Atlantis"}'"""))
    loaded = await load_once(database)
    directory.replace(loaded.agents, loaded.lines)
    found = await answer(admin)
    assert (found["open"], found["agent"]) == (True, "desk")


async def test_callers_are_put_through_to_numbers_that_can_be_dialled(admin: AsyncClient) -> None:
    opening = {"timezone": "UTC", "closed": {"then": "transfer", "number": "+999123456789"}}
    change = {"agent": "desk", "opening": opening}
    refused = await admin.put(f"/numbers/{OURS}", json=change, headers={"If-Match": "*"})
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["field"].endswith("number")
