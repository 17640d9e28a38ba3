"""Agents: profiles in versions, which of them answers calls, and the end of an agent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents import repository
from app.agents.loading import with_stored
from app.agents.models import Agent, AgentVersion
from app.agents.schemas import AgentDetail, AgentSummary, AgentVersionDetail, NewProfile
from app.agents.seeding import content_hash
from app.audit.change import Change
from app.audit.service import Action
from app.errors import Conflict, Invalid, NotFound
from app.numbers.repository import numbers_of
from app.prompts.models import Prompt
from app.prompts.repository import active_version
from app.rest.rows import find_row
from app.voice.profile import AgentProfile
from app.voices.models import Voice

RESOURCE = "agents"
VERSIONS = "agents/versions"

_SHARED = {"read": True}  # others may use it, too


async def summaries(session: AsyncSession, agents: Sequence[Agent]) -> list[AgentSummary]:
    """Agents with what of their active profiles tells them apart."""
    names = [agent.name for agent in agents]
    newest = await repository.newest_versions(session, names)
    active = {version.agent: version for version in await repository.active_versions(session, names)}
    return [_summary(agent, active[agent.name], newest[agent.name]) for agent in agents]


async def detail(session: AsyncSession, name: str) -> AgentDetail:
    """One agent with its active profile. Raises ``NotFound``."""
    agent = await find(session, name)
    version = await session.get_one(AgentVersion, (name, agent.active_version))
    newest = await repository.newest_versions(session, [name])
    summary = _summary(agent, version, newest[name])
    return AgentDetail(**summary.model_dump(), profile=version.profile)


async def find(session: AsyncSession, name: str) -> Agent:
    """One agent. Raises ``NotFound``."""
    return await find_row(session, Agent, name, "agent")


async def find_version(session: AsyncSession, name: str, version: int) -> AgentVersionDetail:
    """One version of an agent. Raises ``NotFound``."""
    agent = await find(session, name)
    return shown(agent, await _version(session, name, version))


def shown(agent: Agent, version: AgentVersion) -> AgentVersionDetail:
    """A version as the API shows it."""
    return AgentVersionDetail(
        version=version.version,
        active=version.version == agent.active_version,
        note=version.note,
        created_at=version.created_at,
        activated_at=version.activated_at,
        profile=version.profile,
    )


async def create(making: Change, wanted: NewProfile) -> AgentDetail:
    """Make an agent, which can answer calls at once.

    Raises ``Conflict`` where the name is taken, ``Invalid`` for a prompt or voice that it cannot have.
    """
    name = wanted.profile.name
    agent, _ = await repository.lock_agent(making.session, name)
    if agent.active_version:
        raise Conflict(f"there is an agent {name!r} already; choose another name, or change it")
    await _with_stored(making.session, wanted.profile)
    await _add(making.session, agent, wanted)
    made = await detail(making.session, name)
    await making.record(Action.CREATE, RESOURCE, name, after=made)
    return made


async def change(changing: Change, name: str, wanted: NewProfile) -> AgentDetail:
    """Answer calls with another profile: a new, active version.

    Raises ``NotFound``, and ``Invalid`` for a prompt or voice that it cannot have.
    """
    agent = await changing.lock(Agent, name, "agent")
    before = await detail(changing.session, name)
    await _with_stored(changing.session, _named(wanted.profile, name))
    await _add(changing.session, agent, wanted)
    return await _changed(changing, Action.CHANGE, agent, before)


async def add_version(changing: Change, name: str, wanted: NewProfile) -> tuple[AgentVersionDetail, int]:
    """Keep a profile as a version that answers no calls yet; returns it and the agent's revision.

    Raises ``NotFound``, ``Invalid``.
    """
    agent = await changing.lock(Agent, name, "agent")
    _named(wanted.profile, name)
    number = await _add(changing.session, agent, wanted, draft=True)
    agent.revision += 1
    made = await find_version(changing.session, name, number)
    await changing.record(Action.CREATE, VERSIONS, f"{name}/{number}", after=made)
    return made, agent.revision


async def activate(changing: Change, name: str, version: int) -> AgentDetail:
    """Answer calls with a version. Raises ``NotFound``, and ``Conflict`` for one that no longer fits."""
    agent = await changing.lock(Agent, name, "agent")
    chosen = await _version(changing.session, name, version)
    if chosen.version == agent.active_version:
        return await detail(changing.session, name)
    return await _switch(changing, Action.ACTIVATE, agent, chosen)


async def roll_back(changing: Change, name: str) -> AgentDetail:
    """Answer calls with the version that did so before the active one.

    Raises ``NotFound``, and ``Conflict`` where there is none, or it no longer fits.
    """
    agent = await changing.lock(Agent, name, "agent")
    previous = await repository.previously_active(changing.session, agent)
    if previous is None:
        raise Conflict(f"no other version of the agent {name!r} has answered calls; activate one by number")
    return await _switch(changing, Action.ROLL_BACK, agent, previous)


async def archive(changing: Change, name: str, usual: str) -> None:
    """Let an agent answer no more. ``usual``: the agent of the settings.

    Raises ``NotFound``; ``Conflict`` while it is that one, or a number names it.
    """
    agent = await changing.lock(Agent, name, "agent")
    if name == usual:
        raise Conflict(f"the agent {name!r} answers where no other does: set TRUNKLINE_CALLS__AGENT first")
    if numbers := await numbers_of(changing.session, name):
        raise Conflict(f"the agent {name!r} answers at {', '.join(numbers)}; change these numbers first")
    if agent.archived_at is None:
        before = await detail(changing.session, name)
        agent.archived_at = datetime.now(UTC)
        await _changed(changing, Action.ARCHIVE, agent, before)


async def restore(changing: Change, name: str) -> AgentDetail:
    """Let an archived agent answer again. Raises ``NotFound``, and ``Conflict`` where it no longer fits."""
    agent = await changing.lock(Agent, name, "agent")
    before = await detail(changing.session, name)
    if agent.archived_at is None:
        return before
    await _usable(changing.session, await _version(changing.session, name, agent.active_version))
    agent.archived_at = None
    return await _changed(changing, Action.RESTORE, agent, before)


async def profile_to_try(
    session: AsyncSession,
    name: str,
    *,
    version: int | None,
    profile: AgentProfile | None,
    instructions: str | None,
) -> AgentProfile:
    """The profile of a try: a stored or given one, with its stored prompt or the given instructions.

    Raises ``NotFound``, ``Invalid``, ``Conflict`` for a stored one that no longer fits.
    """
    agent = await find(session, name)
    if profile is None:
        stored = await _version(session, name, version or agent.active_version)
        found = await _usable(session, stored)
    else:
        found = await _with_stored(session, _named(profile, name))
    return with_stored(found, instructions, None)


async def _usable(session: AsyncSession, version: AgentVersion) -> AgentProfile:
    """A stored version as calls use it. Raises ``Conflict`` where it no longer fits."""
    which = f"version {version.version} of the agent {version.agent!r}"
    try:
        return await _with_stored(session, AgentProfile.model_validate(version.profile))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Conflict(f"{which} does not fit this version of Trunkline: {where}: {first['msg']}") from None
    except Invalid as error:
        raise Conflict(f"{which} cannot answer calls: {error.problem}") from None


async def _with_stored(session: AsyncSession, profile: AgentProfile) -> AgentProfile:
    """A profile as calls use it. What it names stays as it is until this transaction is over.

    Raises ``Invalid`` for a prompt or voice that it cannot have.
    """
    instructions, voice = None, None
    if profile.prompt:
        await session.get(Prompt, profile.prompt, with_for_update=_SHARED)
        active = await active_version(session, profile.prompt)
        if active is None:
            raise Invalid("body.profile.prompt", f"no version of a prompt {profile.prompt!r} is active")
        instructions = active.content
    if profile.voice.stored:
        voice = await session.get(
            Voice, profile.voice.stored, with_for_update=_SHARED, populate_existing=True
        )
        if voice is None or voice.archived_at is not None:
            raise Invalid("body.profile.voice.stored", f"there is no voice {profile.voice.stored!r}")
    return with_stored(profile, instructions, voice)


async def _switch(changing: Change, action: Action, agent: Agent, chosen: AgentVersion) -> AgentDetail:
    await _usable(changing.session, chosen)
    before = {"active_version": agent.active_version}
    repository.activate(agent, chosen)
    agent.revision += 1
    after = {"active_version": chosen.version}
    await changing.record(action, RESOURCE, agent.name, before=before, after=after)
    return await detail(changing.session, agent.name)


async def _changed(changing: Change, action: Action, agent: Agent, before: AgentDetail) -> AgentDetail:
    agent.revision += 1
    after = await detail(changing.session, agent.name)
    await changing.record(action, RESOURCE, agent.name, before=before, after=after)
    return after


async def _add(session: AsyncSession, agent: Agent, wanted: NewProfile, *, draft: bool = False) -> int:
    content: dict[str, Any] = wanted.profile.model_dump(mode="json")
    return await repository.add_version(
        session, agent, content, content_hash(content), wanted.note, draft=draft
    )


async def _version(session: AsyncSession, name: str, version: int) -> AgentVersion:
    found = await session.get(AgentVersion, (name, version))
    if found is None:
        raise NotFound(f"there is no version {version} of the agent {name!r}")
    return found


def _named(profile: AgentProfile, name: str) -> AgentProfile:
    if profile.name != name:
        raise Invalid("body.profile.name", f"must be {name!r}, the agent that the path names")
    return profile


def _summary(agent: Agent, active: AgentVersion, newest: int) -> AgentSummary:
    profile = active.profile
    return AgentSummary(
        name=agent.name,
        title=_text(profile, "title"),
        language=_text(profile, "language"),
        active_version=agent.active_version,
        newest_version=newest,
        prompt=_text(profile, "prompt") or None,
        voice=_text(profile.get("voice"), "stored") or None,
        revision=agent.revision,
        archived_at=agent.archived_at,
    )


def _text(stored: object, field: str) -> str:
    """A text of a stored profile, which need not fit this version of the code; empty: there is none."""
    value = stored.get(field) if isinstance(stored, dict) else None
    return value if isinstance(value, str) else ""
