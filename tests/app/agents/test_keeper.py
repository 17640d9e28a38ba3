"""What operators change answers the next call of a process, and what does not fit changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from httpx import AsyncClient
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from app.agents.directory import AgentDirectory
from app.agents.keeper import AgentKeeper
from app.auth.service import Role
from app.db.notify import Listener
from app.db.session import Database
from app.engines.errors import EngineError, EngineUnavailable, RequestRefused
from app.engines.fallback.recogniser import FallbackRecogniser
from app.engines.ports import RecognitionHints
from app.voice.profile import AgentProfile
from app.voice.session import hints_of
from config.engines import FallbackSettings
from tests.app.api_client import api_client
from tests.fakes.recogniser import FakeRecogniser

OURS = "+4930123456"


class EnglishEar(FakeRecogniser):
    """Takes English alone, and says so ``after`` some seconds. ``broken``: it takes nothing now."""

    def __init__(self) -> None:
        super().__init__()
        self.after = 0.0
        self.broken = False

    async def prepare(self, hints: RecognitionHints) -> None:
        await asyncio.sleep(self.after)
        if self.broken:
            raise EngineError("ear", "its process ended")
        if not hints.language.startswith("en"):
            raise RequestRefused("ear", f"it understands English, not {hints.language!r}")
        await super().prepare(hints)


class Process:
    """One that answers calls, as far as its agents and its recogniser go. ``prepared``: greetings."""

    def __init__(self, database: Database, directory: AgentDirectory) -> None:
        self.prepared: list[str] = []
        self.directory = directory
        self.ear = EnglishEar()
        self.recogniser = FallbackRecogniser([self.ear], FallbackSettings())
        self.listener = Listener(database)
        self.keeper = AgentKeeper(database, directory, self._prepare, "desk")
        self.keeper.subscribe(self.listener)

    async def _prepare(self, profile: AgentProfile) -> None:
        await self.recogniser.prepare(hints_of(profile))
        self.prepared.append(profile.says.greeting)

    def greeting(self, number: str = "") -> str:
        return self.directory.answer(number, "desk", None).agent.profile.says.greeting

    async def until(self, condition: Callable[[], bool], seconds: float = 3.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def process(database: Database, folder: Path) -> AsyncIterator[Process]:
    one = Process(database, await AgentDirectory.open(database, folder, "desk"))
    await one.recogniser.start()
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


def not_loaded() -> float:
    return REGISTRY.get_sample_value("trunkline_agents_not_loaded_total") or 0.0


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
    assert one.greeting("+4930999999") == ""  # the usual agent's, which was changed above
    assert "Good night" in one.prepared


async def test_an_agent_that_no_engine_serves_changes_nothing(one: Process, admin: AsyncClient) -> None:
    before = not_loaded()
    with capture_logs() as logs:
        assert await put(admin, language="de-DE", says={"greeting": "Guten Tag"}) == 200
        await one.until(lambda: not_loaded() > before)
        await asyncio.sleep(0.05)
    assert not_loaded() == before + 1
    assert one.greeting() == "Hello"
    assert "ear: it understands English, not 'de-DE'" in str(logs)
    assert await put(admin, says={"greeting": "Hi"}) == 200
    await one.until(lambda: one.greeting() == "Hi")


async def test_so_does_one_that_is_refused_late(one: Process, admin: AsyncClient) -> None:
    one.ear.after = 0.7
    before = not_loaded()
    assert await put(admin, language="de-DE", says={"greeting": "Guten Tag"}) == 200
    await one.until(lambda: one.greeting() == "Guten Tag")  # it has waited long enough
    await one.until(lambda: one.greeting() == "Hello")
    assert not_loaded() == before + 1


async def test_an_engine_in_trouble_keeps_no_change_from_callers(one: Process, admin: AsyncClient) -> None:
    one.ear.broken = True
    before = not_loaded()
    assert await put(admin, says={"greeting": "Hi"}) == 200
    await one.until(lambda: one.greeting() == "Hi", 1.0)
    assert not_loaded() == before


async def test_an_agent_that_was_never_served_leaves_its_number_to_the_usual_one(
    one: Process, admin: AsyncClient
) -> None:
    german = {"name": "nacht", "language": "de-DE", "says": {"greeting": "Gute Nacht"}}
    assert (await admin.post("/agents", json={"profile": german})).status_code == 201
    await one.until(lambda: one.directory.has("nacht"))  # no number names it: nothing is prepared for it
    before = not_loaded()
    assert (await admin.post("/numbers", json={"number": OURS, "agent": "nacht"})).status_code == 201
    await one.until(lambda: not_loaded() > before)
    await one.until(lambda: not one.directory.has("nacht"))
    assert one.greeting(OURS) == "Hello"


async def test_what_no_engine_serves_is_dropped_at_the_start(
    database: Database, tmp_path: Path, admin: AsyncClient
) -> None:
    (tmp_path / "desk.yaml").write_text("name: desk\nsays: {greeting: Hello}\n")
    (tmp_path / "nacht.yaml").write_text("name: nacht\nlanguage: de-DE\n")
    await AgentDirectory.open(database, tmp_path, "desk")
    assert (await admin.post("/numbers", json={"number": OURS, "agent": "nacht"})).status_code == 201
    async with process(database, tmp_path) as started:
        assert started.greeting(OURS) == "Hello"
        await started.keeper.refresh()
        assert started.greeting(OURS) == "Hello"

    assert await put(admin, language="de-DE") == 200
    with pytest.raises(EngineUnavailable, match=r"not 'de-DE'.* the agent 'desk'") as caught:
        async with process(database, tmp_path):
            pass
    assert "POST /api/v1/agents/desk/rollback" in str(caught.value)
    assert "config/agents/desk.yaml" in str(caught.value)


async def test_a_look_that_fails_is_not_the_end_of_the_process(
    one: Process, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = asyncio.Event()

    async def fail(_: AsyncSession) -> str:
        failed.set()
        raise ValueError("something stored is not as it should be")

    before = not_loaded()
    monkeypatch.setattr("app.agents.keeper._LOOK_SECONDS", 0.02)
    monkeypatch.setattr("app.agents.keeper.fingerprint", fail)
    looking = asyncio.create_task(one.keeper.run())
    await asyncio.wait_for(failed.wait(), 2)
    await one.until(lambda: not_loaded() > before)
    monkeypatch.undo()
    assert not looking.done()
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking


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
    await AgentDirectory.open(database, tmp_path, "desk")
    await put(admin, says={"greeting": "Changed"})
    path.write_text("# the same\nname: desk\nsays: {greeting: Hello}\n")
    again = await AgentDirectory.open(database, tmp_path, "desk")
    assert again.get("desk").profile.says.greeting == "Changed"
    path.write_text("name: desk\nsays: {greeting: From the file}\n")
    changed = await AgentDirectory.open(database, tmp_path, "desk")
    assert (changed.get("desk").profile.says.greeting, changed.get("desk").version) == ("From the file", 3)
