"""Starting with stored agents, prompts, voices and hours that this version of the code cannot use."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from structlog.testing import capture_logs

from app.agents.directory import AgentDirectory, StoredProfileError, UnknownAgent
from app.db.session import Database

OURS = "+4930123456"


def write(folder: Path, name: str, content: str) -> None:
    (folder / f"{name}.yaml").write_text(content, encoding="utf-8")


def not_loaded() -> float:
    return REGISTRY.get_sample_value("trunkline_agents_not_loaded_total") or 0.0


async def add_number(database: Database, agent: str, opening: str | None = None) -> None:
    statement = text(
        "INSERT INTO numbers (number, agent, title, opening) "
        "VALUES (:number, :agent, '', CAST(:opening AS jsonb))"
    )
    async with database.transaction() as session:
        await session.execute(statement, {"number": OURS, "agent": agent, "opening": opening})


async def break_profile(database: Database, agent: str) -> None:
    statement = text("""UPDATE agent_versions SET profile = '{"name": "a", "old": 1}' WHERE agent = :agent""")
    async with database.transaction() as session:
        await session.execute(statement, {"agent": agent})


async def test_a_usual_agent_that_no_longer_fits_is_named_with_what_to_do(
    database: Database, tmp_path: Path
) -> None:
    write(tmp_path, "desk", "name: desk\n")
    await AgentDirectory.open(database, tmp_path, "desk")
    await break_profile(database, "desk")
    with pytest.raises(StoredProfileError, match=r"version 1 of agent 'desk'.*old: Extra inputs") as caught:
        await AgentDirectory.open(database, tmp_path, "desk")
    assert "POST /api/v1/agents/desk/rollback" in str(caught.value)
    write(tmp_path, "desk", "name: desk\ntitle: Mended\n")
    mended = await AgentDirectory.open(database, tmp_path, "desk")
    assert mended.get("desk").profile.title == "Mended"
    with pytest.raises(UnknownAgent, match="no agent 'parcel'"):
        await AgentDirectory.open(database, tmp_path, "parcel")


async def test_any_other_agent_that_no_longer_fits_is_dropped_and_counted(
    database: Database, tmp_path: Path
) -> None:
    for name in ("desk", "night"):
        write(tmp_path, name, f"name: {name}\n")
    await AgentDirectory.open(database, tmp_path, "desk")
    await add_number(database, "night")
    await break_profile(database, "night")
    before = not_loaded()
    directory = await AgentDirectory.open(database, tmp_path, "desk")
    assert not_loaded() == before + 1
    assert directory.names == ["desk"]
    assert directory.answer(OURS, "desk", None).agent.profile.name == "desk"


async def test_hours_that_no_longer_fit_are_counted_and_the_number_is_open(
    database: Database, tmp_path: Path
) -> None:
    write(tmp_path, "desk", "name: desk\n")
    await AgentDirectory.open(database, tmp_path, "desk")
    await add_number(database, "desk", '{"timezone": "Europe/Atlantis"}')
    before = not_loaded()
    with capture_logs() as logs:
        directory = await AgentDirectory.open(database, tmp_path, "desk")
    assert not_loaded() == before + 1
    assert "timezone: Value error, must be a time zone" in str(logs)
    answer = directory.answer(OURS, "desk", datetime(2026, 11, 22, 3, tzinfo=UTC))
    assert answer.terms.closing is None


async def test_a_stored_voice_out_of_bounds_is_the_fault_of_its_agent_alone(
    database: Database, tmp_path: Path
) -> None:
    write(tmp_path, "desk", "name: desk\n")
    write(tmp_path, "night", "name: night\nvoice: {stored: fast}\n")
    statement = text(
        "INSERT INTO voices (name, title, language, names, rate, pitch) "
        "VALUES ('fast', '', 'en-US', '{}', 3, 1)"
    )
    async with database.transaction() as session:
        await session.execute(statement)
    with capture_logs() as logs:
        directory = await AgentDirectory.open(database, tmp_path, "desk")
    assert directory.names == ["desk"]
    assert "PUT /api/v1/voices/fast" in str(logs)
    assert "rate: Input should be less than or equal to 2" in str(logs)
