"""What tasks work with, on a database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from app.agents.models import Agent, AgentVersion
from app.calls.presence import Presence
from app.calls.writing.rows import Entry, write_entries
from app.db.session import Database
from app.tasks.tools import Tools
from app.voice.events import CallRecord
from app.voice.profile import AgentProfile
from app.webhooks.sending import open_client
from config.settings import Settings

SETTINGS = {
    "after_calls": {"retry_seconds": 0.05, "attempts": 3},
    "webhooks": {"allow": ("127.0.0.1",), "retry_seconds": (0.05, 0.05), "timeout_seconds": 2.0},
}

Stored = Callable[..., Awaitable[None]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Those of an embedded installation, in which nothing is waited for."""
    return Settings(data_dir=tmp_path, **SETTINGS)  # type: ignore[arg-type]


@pytest.fixture
async def tools(database: Database, settings: Settings) -> AsyncIterator[Tools]:
    """Without a language model that could judge."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(open_client())
        yield Tools(settings, database, http, stack)


@pytest.fixture
async def store(database: Database) -> Stored:
    """Store events of calls, as a process that answers calls does; their agent is stored."""
    await make_agent(database, AgentProfile(name="parcel"))
    presence = Presence(database)
    await presence.start()

    async def store(*events: CallRecord) -> None:
        async with database.transaction() as session:
            entries = [Entry(number, event) for number, event in enumerate(events, 1)]
            await write_entries(session, entries, presence.id)

    return store


async def make_agent(database: Database, profile: AgentProfile) -> None:
    """Store an agent whose version 1 is this profile, in place of what there was."""
    async with database.transaction() as session:
        await session.merge(Agent(name=profile.name, active_version=1))
        await session.flush()
        content = profile.model_dump(mode="json")
        await session.merge(AgentVersion(agent=profile.name, version=1, profile=content, content_hash="0"))


async def owed(database: Database) -> list[UUID]:
    """The calls whose work is not all done."""
    async with database.transaction() as session:
        return list(await session.scalars(text("SELECT call_id FROM outbox WHERE topic = 'call_ended'")))


async def states(database: Database, call_id: UUID) -> dict[str, str]:
    """Where each step of a call stands."""
    query = text("SELECT step, state FROM call_steps WHERE call_id = :call")
    async with database.transaction() as session:
        return {row.step: row.state for row in await session.execute(query, {"call": call_id})}
