"""What operators change answers the next call of a process, and what does not fit changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from httpx import AsyncClient
from sqlalchemy import text
from structlog.testing import capture_logs

from app.agents.directory import AgentDirectory
from app.agents.keeper import AgentKeeper
from app.auth.service import Role
from app.db.notify import Listener
from app.db.session import Database
from app.engines.errors import RequestRefused
from app.voice.profile import AgentProfile
from tests.app.api_client import api_client


class Process:
    """One that answers calls, as far as its agents go. ``prepared``: greetings; it speaks no Klingon."""

    def __init__(self, database: Database, directory: AgentDirectory) -> None:
        self.prepared: list[str] = []
        self.directory = directory
        self.listener = Listener(database)
        self.keeper = AgentKeeper(database, directory, self._prepare, "desk")
        self.keeper.subscribe(self.listener)

    async def _prepare(self, profile: AgentProfile) -> None:
        if profile.language == "tlh":
            raise RequestRefused("ear", "does not know tlh")
        self.prepared.append(profile.says.greeting)

    def greeting(self, number: str = "") -> str:
        return self.directory.answer(number, "desk", None).agent.profile.says.greeting

    async def until(self, condition: Callable[[], bool], seconds: float = 3.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def process(database: Database, folder: Path) -> AsyncIterator[Process]:
    one = Process(database, await AgentDirectory.open(database, folder))
    await one.keeper.prepare_all()
    tasks = [asyncio.create_task(work) for work in (one.listener.run(), one.keeper.run())]
    await asyncio.wait_for(one.listener.connected.wait(), 5)
    try:
        yield one
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
async def one(database: Database, tmp_path: Path) -> AsyncIterator[Process]:
    (tmp_path / "desk.yaml").write_text("name: desk\nsays: {greeting: Hello}\ninstructions: Be brief.\n")
    async with process(database, tmp_path) as one:
        yield one


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[AsyncClient]:
    async with api_client(database, Role.ADMIN) as client:
        yield client


async def put(admin: AsyncClient, **profile: object) -> int:
    wanted = {"profile": {"name": "desk", **profile}}
    answer = await admin.put("/agents/desk", json=wanted, headers={"If-Match": "*"})
    return answer.status_code


async def test_a_changed_agent_answers_the_next_call(one: Process, admin: AsyncClient) -> None:
    assert one.prepared == ["Hello"]
    assert await put(admin, says={"greeting": "Good morning"}) == 200
    await one.until(lambda: one.greeting() == "Good morning", 1.0)
    assert one.prepared == ["Hello", "Good morning"]
    await admin.post("/agents/desk/rollback")
    await one.until(lambda: one.greeting() == "Hello", 1.0)


async def test_so_does_a_changed_prompt_voice_or_number(one: Process, admin: AsyncClient) -> None:
    await admin.post("/prompts", json={"name": "welcome", "content": "First."})
    await admin.post("/prompts/welcome/versions/1/activate")
    await admin.post("/voices", json={"name": "friendly", "names": {"espeak": "en-us+f3"}, "rate": 1.2})
    assert await put(admin, prompt="welcome", voice={"stored": "friendly"}) == 200
    await one.until(lambda: one.directory.get("desk").prompt_version == 1)
    agent = one.directory.get("desk")
    assert (agent.profile.instructions, agent.voice) == ("First.", "friendly")
    assert (agent.profile.voice.names, agent.profile.voice.rate) == ({"espeak": "en-us+f3"}, 1.2)

    await admin.post("/prompts/welcome/versions", json={"content": "Second."})
    await admin.post("/prompts/welcome/versions/2/activate")
    await one.until(lambda: one.directory.get("desk").profile.instructions == "Second.", 1.0)
    await admin.put("/voices/friendly", json={"rate": 0.8}, headers={"If-Match": "*"})
    await one.until(lambda: one.directory.get("desk").profile.voice.rate == 0.8, 1.0)

    await admin.post("/agents", json={"profile": {"name": "night", "says": {"greeting": "Good night"}}})
    await admin.post("/numbers", json={"number": "+4930123456", "agent": "night"})
    await one.until(lambda: one.greeting("+4930123456") == "Good night", 1.0)
    assert one.greeting("+4930999999") == "Hello" or one.greeting("+4930999999") == ""
    assert "Good night" in one.prepared


async def test_an_agent_that_no_engine_serves_changes_nothing(one: Process, admin: AsyncClient) -> None:
    with capture_logs() as logs:
        assert await put(admin, language="tlh", says={"greeting": "nuqneH"}) == 200
        await one.until(lambda: any(line["log_level"] == "error" for line in logs))
        await asyncio.sleep(0.05)
    assert one.greeting() == "Hello"
    assert "does not know tlh" in str(logs)
    assert await put(admin, says={"greeting": "Hi"}) == 200
    await one.until(lambda: one.greeting() == "Hi")


async def test_a_stored_profile_that_does_not_fit_changes_nothing(one: Process, database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("""UPDATE agent_versions SET profile = '{"name": "desk", "old": 1}'"""))
    await one.keeper.refresh()
    assert one.greeting() == "Hello"


async def test_a_change_without_a_word_is_found(one: Process, database: Database) -> None:
    await one.keeper.refresh()
    async with database.transaction() as session:
        await session.execute(
            text("""UPDATE agent_versions SET profile = jsonb_set(profile, '{says,greeting}', '"Hey"')""")
        )
        await session.execute(text("UPDATE agents SET revision = revision + 1"))
    await one.keeper.look()
    assert one.greeting() == "Hey"


async def test_an_operators_change_outlives_a_restart(
    database: Database, tmp_path: Path, admin: AsyncClient
) -> None:
    path = tmp_path / "desk.yaml"
    path.write_text("name: desk\nsays: {greeting: Hello}\n")
    await AgentDirectory.open(database, tmp_path)
    await put(admin, says={"greeting": "Changed"})
    path.write_text("# the same\nname: desk\nsays: {greeting: Hello}\n")
    again = await AgentDirectory.open(database, tmp_path)
    assert again.get("desk").profile.says.greeting == "Changed"
    path.write_text("name: desk\nsays: {greeting: From the file}\n")
    changed = await AgentDirectory.open(database, tmp_path)
    assert (changed.get("desk").profile.says.greeting, changed.get("desk").version) == ("From the file", 3)
