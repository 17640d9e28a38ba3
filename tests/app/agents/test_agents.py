"""Agents from YAML files: what is refused and how, versions, and the directory in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select, text

from app.agents.directory import AgentDirectory, UnknownAgent
from app.agents.files import AgentFileError, read_profile, read_profiles
from app.agents.models import Agent, AgentVersion
from app.db.migrate import downgrade, upgrade
from app.db.session import Database
from config.settings import AGENTS


def write(folder: Path, name: str, content: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(content, encoding="utf-8")
    return path


def test_the_products_own_files_are_right() -> None:
    assert "bench" in [profile.name for profile in read_profiles(AGENTS)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "name: x\nturns: {pause_seconds: -1}\n",
            "turns.pause_seconds: Input should be greater than 0",
        ),
        ("name: x\nsays: {gretting: hi}\n", "says.gretting: Extra inputs are not permitted"),
        ("title: none\n", "name: Field required"),
        ("name: y\n", "name: is 'y', but must be 'x' like the file"),
        ("name: [x\n", "line 2, column 1: "),
        ("- name\n", "must hold fields such as 'name: x'"),
        ("", "must hold fields such as 'name: x'"),
    ],
)
def test_a_wrong_file_says_what_is_wrong_and_where(tmp_path: Path, content: str, said: str) -> None:
    path = write(tmp_path, "x", content)
    with pytest.raises(AgentFileError) as error:
        read_profile(path)
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(AgentFileError, match="nowhere"):
        read_profiles(tmp_path / "nowhere")


async def test_only_a_changed_file_makes_a_new_version(database: Database, tmp_path: Path) -> None:
    async def answer() -> tuple[str, int]:
        agent = (await AgentDirectory.open(database, tmp_path, "desk")).get("desk")
        return agent.profile.says.greeting, agent.version

    write(tmp_path, "desk", "name: desk\nsays: {greeting: Hello}\n")
    assert await answer() == ("Hello", 1)
    write(tmp_path, "desk", "# a comment\nsays: {greeting: Hello}\nname: desk\n")
    assert await answer() == ("Hello", 1)
    write(tmp_path, "desk", "name: desk\nsays: {greeting: Good morning}\n")
    assert await answer() == ("Good morning", 2)
    write(tmp_path, "desk", "name: desk\nsays: {greeting: Hello}\n")
    assert await answer() == ("Hello", 3)

    async with database.transaction() as session:
        versions = await session.scalars(text("SELECT version FROM agent_versions ORDER BY version"))
        assert list(versions) == [1, 2, 3]


async def test_an_agent_stays_when_its_file_is_gone(database: Database, tmp_path: Path) -> None:
    path = write(tmp_path, "desk", "name: desk\n")
    await AgentDirectory.open(database, tmp_path, "desk")
    path.unlink()
    assert (await AgentDirectory.open(database, tmp_path, "desk")).names == ["desk"]


async def test_an_unknown_agent_is_named_beside_the_known_ones(database: Database, tmp_path: Path) -> None:
    write(tmp_path, "desk", "name: desk\n")
    directory = await AgentDirectory.open(database, tmp_path, "desk")
    with pytest.raises(UnknownAgent, match="no agent 'parcel'; the agents are: desk"):
        directory.get("parcel")


async def test_processes_that_start_at_once_make_one_version(database: Database, tmp_path: Path) -> None:
    for greeting, version in (("Hello", 1), ("Good morning", 2)):
        for name in ("desk", "night"):
            write(tmp_path, name, f"name: {name}\nsays: {{greeting: {greeting}}}\n")
        opening = (AgentDirectory.open(database, tmp_path, "desk") for _ in range(5))
        directories = await asyncio.gather(*opening)
        assert {directory.get("desk").version for directory in directories} == {version}
        assert {directory.get("night").version for directory in directories} == {version}


async def test_agents_of_an_older_version_answer_on_and_their_versions_did_before(
    database: Database, tmp_path: Path
) -> None:
    for greeting in ("Hello", "Good morning"):
        write(tmp_path, "desk", f"name: desk\nsays: {{greeting: {greeting}}}\n")
        await AgentDirectory.open(database, tmp_path, "desk")
    await downgrade(database, "0004")
    await upgrade(database)
    async with database.transaction() as session:
        agent = await session.get_one(Agent, "desk")
        versions = list(await session.scalars(select(AgentVersion).order_by(AgentVersion.version)))
    assert agent.active_version == 2
    assert [version.activated_at == version.created_at for version in versions] == [True, True]
    again = await AgentDirectory.open(database, tmp_path, "desk")
    assert again.get("desk").version == 2  # its file says nothing new
