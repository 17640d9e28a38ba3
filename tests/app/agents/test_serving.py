"""Profiles that no recogniser of the process takes are refused to whoever wants them; nothing is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import AsyncClient

from app.api import ApiParts
from app.auth.service import Role
from app.db.session import Database
from app.engines.errors import EngineError, RequestRefused
from app.voice.profile import AgentProfile
from tests.app.api_client import api_client

GERMAN = {"name": "desk", "language": "de-DE"}
ANY = {"If-Match": "*"}


class Ear:
    """What a process tells of its recognisers: English alone, and ``trouble`` instead of an answer."""

    def __init__(self) -> None:
        self.languages = {"en-US"}
        self.trouble: Exception | None = None
        self.slow = False

    async def takes(self, profile: AgentProfile) -> None:
        if self.slow:
            await asyncio.Event().wait()
        if self.trouble:
            raise self.trouble
        if profile.language not in self.languages:
            raise RequestRefused("ear", f"it does not know {profile.language}")


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
async def admin(database: Database, ear: Ear) -> AsyncIterator[AsyncClient]:
    async with api_client(database, Role.ADMIN, ApiParts(takes=ear.takes)) as client:
        yield client


async def put(admin: AsyncClient, profile: dict[str, Any]) -> int:
    return (await admin.put("/agents/desk", json={"profile": profile}, headers=ANY)).status_code


async def test_a_language_that_nobody_understands_is_refused_with_the_reason(
    admin: AsyncClient, ear: Ear
) -> None:
    refused = await admin.post("/agents", json={"profile": GERMAN})
    assert refused.status_code == 409
    assert "ear: it does not know de-DE" in refused.json()["detail"]
    assert (await admin.get("/agents/desk")).status_code == 404

    assert (await admin.post("/agents", json={"profile": {"name": "desk"}})).status_code == 201
    assert await put(admin, GERMAN) == 409
    assert (await admin.get("/agents/desk")).json()["newest_version"] == 1

    draft = await admin.post("/agents/desk/versions", json={"profile": GERMAN})
    assert draft.status_code == 201  # it answers no calls
    assert (await admin.post("/agents/desk/versions/2/activate")).status_code == 409
    ear.languages.add("de-DE")
    assert (await admin.post("/agents/desk/versions/2/activate")).status_code == 200
    ear.languages.remove("en-US")
    assert (await admin.post("/agents/desk/rollback")).status_code == 409
    assert (await admin.delete("/agents/desk", headers=ANY)).status_code == 204
    ear.languages.clear()
    assert (await admin.post("/agents/desk/restore")).status_code == 409
    ear.languages.add("de-DE")
    assert (await admin.post("/agents/desk/restore")).status_code == 200


async def test_an_engine_in_trouble_refuses_nobody(admin: AsyncClient, ear: Ear) -> None:
    ear.trouble = EngineError("ear", "its process ended")
    assert (await admin.post("/agents", json={"profile": GERMAN})).status_code == 201
    ear.slow = True
    assert await put(admin, GERMAN | {"title": "German"}) == 200
