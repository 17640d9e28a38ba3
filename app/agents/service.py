"""Agents: profiles in versions, which of them answers calls, and the end of an agent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents import repository
from app.agents.loading import StoredProfileError, resolved, with_stored
from app.agents.models import Agent, AgentVersion
from app.agents.schemas import AgentDetail, AgentSummary, AgentVersionDetail, NewProfile
from app.agents.seeding import content_hash
from app.audit.service import Action, Actor, write_audit
from app.db.notify import notify
from app.errors import Conflict, Invalid, NotFound
from app.numbers.repository import numbers_of
from app.prompts.repository import active_contents, active_version, lock_prompt
from app.rest.changes import CHANGES
from app.rest.versions import expect, expect_if_given
from app.voice.profile import AgentProfile
from app.voices.repository import all_voices, lock_voice

RESOURCE = "agents"


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
    agent = await session.get(Agent, name)
    if agent is None:
        raise NotFound(f"there is no agent {name!r}")
    return agent


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
        profile=version.profile,
    )


async def create(session: AsyncSession, who: Actor, wanted: NewProfile) -> AgentDetail:
    """Make an agent, which can answer calls at once. Raises ``Conflict`` where the name is taken."""
    name = wanted.profile.name
    agent, _ = await repository.lock_agent(session, name)
    if agent.active_version:
        raise Conflict(f"there is an agent {name!r} already; choose another name, or change it")
    await _check_references(session, wanted.profile)
    agent.active_version = await _add(session, agent, wanted)
    await session.flush()
    made = await detail(session, name)
    await write_audit(session, who, Action.CREATE, RESOURCE, name, after=made)
    await notify(session, CHANGES, {"resource": RESOURCE, "id": name})
    return made


async def change(
    session: AsyncSession, who: Actor, name: str, wanted: NewProfile, if_match: str | None
) -> AgentDetail:
    """Answer calls with another profile: a new, active version."""
    agent = await _locked(session, name)
    expect(if_match, agent.revision)
    before = await detail(session, name)
    await _check_references(session, _named(wanted.profile, name))
    agent.active_version = await _add(session, agent, wanted)
    await _changed(session, agent)
    after = await detail(session, name)
    await write_audit(session, who, Action.CHANGE, RESOURCE, name, before=before, after=after)
    return after


async def add_version(
    session: AsyncSession, who: Actor, name: str, wanted: NewProfile, if_match: str | None
) -> tuple[AgentVersionDetail, int]:
    """Keep a profile as a version that answers no calls yet; returns it and the agent's revision."""
    agent = await _locked(session, name)
    expect_if_given(if_match, agent.revision)
    _named(wanted.profile, name)
    number = await _add(session, agent, wanted)
    await _changed(session, agent)
    made = await find_version(session, name, number)
    await write_audit(session, who, Action.CREATE, f"{RESOURCE}/versions", f"{name}/{number}", after=made)
    return made, agent.revision


async def activate(
    session: AsyncSession, who: Actor, name: str, version: int, if_match: str | None
) -> AgentDetail:
    """Answer calls with a version. Raises ``Conflict`` for one that no longer fits."""
    agent = await _locked(session, name)
    chosen = await _version(session, name, version)
    expect_if_given(if_match, agent.revision)
    return await _switch(session, who, Action.ACTIVATE, agent, chosen)


async def roll_back(session: AsyncSession, who: Actor, name: str, if_match: str | None) -> AgentDetail:
    """Answer calls with the version before the active one. Raises ``Conflict`` where there is none."""
    agent = await _locked(session, name)
    expect_if_given(if_match, agent.revision)
    before = await repository.version_before(session, name, agent.active_version)
    if before is None:
        raise Conflict(f"version {agent.active_version} is the first one of the agent {name!r}")
    return await _switch(session, who, Action.ROLL_BACK, agent, before)


async def archive(session: AsyncSession, who: Actor, name: str, if_match: str | None, usual: str) -> None:
    """Let an agent answer no more. ``usual``: the agent of the settings.

    Raises ``Conflict`` while it is that one, or a number names it.
    """
    agent = await _locked(session, name)
    expect(if_match, agent.revision)
    if name == usual:
        raise Conflict(f"the agent {name!r} answers where no other does: set TRUNKLINE_CALLS__AGENT first")
    if numbers := await numbers_of(session, name):
        raise Conflict(f"the agent {name!r} answers at {', '.join(numbers)}; change these numbers first")
    if agent.archived_at is None:
        agent.archived_at = datetime.now(UTC)
        await _changed(session, agent)
        await write_audit(session, who, Action.ARCHIVE, RESOURCE, name, after=await detail(session, name))


async def restore(session: AsyncSession, who: Actor, name: str, if_match: str | None) -> AgentDetail:
    """Let an archived agent answer again. Raises ``Conflict`` where it no longer fits."""
    agent = await _locked(session, name)
    expect_if_given(if_match, agent.revision)
    if agent.archived_at is not None:
        await _check_usable(session, await _version(session, name, agent.active_version))
        agent.archived_at = None
        await _changed(session, agent)
        await write_audit(session, who, Action.RESTORE, RESOURCE, name, after=await detail(session, name))
    return await detail(session, name)


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
        found = await _check_usable(session, stored)
    else:
        found = await _check_references(session, _named(profile, name), lock=False)
    return with_stored(found, instructions, None)


async def _check_references(
    session: AsyncSession, profile: AgentProfile, *, lock: bool = True
) -> AgentProfile:
    """The profile as calls use it. Raises ``Invalid`` for a prompt or voice that it cannot have.

    ``lock``: what it names is not archived before the transaction is over.
    """
    instructions, voice = None, None
    if profile.prompt:
        if lock:
            await lock_prompt(session, profile.prompt)
        active = await active_version(session, profile.prompt)
        if active is None:
            raise Invalid("body.profile.prompt", f"no version of a prompt {profile.prompt!r} is active")
        instructions = active.content
    if profile.voice.stored:
        if lock:
            await lock_voice(session, profile.voice.stored)
        voice = (await all_voices(session)).get(profile.voice.stored)
        if voice is None or voice.archived_at is not None:
            raise Invalid("body.profile.voice.stored", f"there is no voice {profile.voice.stored!r}")
    return with_stored(profile, instructions, voice)


async def _check_usable(session: AsyncSession, version: AgentVersion) -> AgentProfile:
    """The stored version as calls use it. Raises ``Conflict``."""
    try:
        return resolved(version, await active_contents(session), await all_voices(session)).profile
    except StoredProfileError as error:
        raise Conflict(str(error)) from None


async def _switch(
    session: AsyncSession, who: Actor, action: Action, agent: Agent, chosen: AgentVersion
) -> AgentDetail:
    before = {"active_version": agent.active_version}
    if chosen.version != agent.active_version:
        profile = await _check_usable(session, chosen)
        if profile.prompt:
            await lock_prompt(session, profile.prompt)
        if profile.voice.stored:
            voice = await lock_voice(session, profile.voice.stored)
            if voice is not None and voice.archived_at is not None:
                raise Conflict(f"version {chosen.version} speaks with the archived voice {voice.name!r}")
        agent.active_version = chosen.version
        await _changed(session, agent)
        after = {"active_version": chosen.version}
        await write_audit(session, who, action, RESOURCE, agent.name, before=before, after=after)
    return await detail(session, agent.name)


async def _add(session: AsyncSession, agent: Agent, wanted: NewProfile) -> int:
    content: dict[str, Any] = wanted.profile.model_dump(mode="json")
    return await repository.add_version(session, agent, content, content_hash(content), wanted.note)


async def _changed(session: AsyncSession, agent: Agent) -> None:
    agent.revision += 1
    await session.flush()
    await notify(session, CHANGES, {"resource": RESOURCE, "id": agent.name})


async def _version(session: AsyncSession, name: str, version: int) -> AgentVersion:
    query = select(AgentVersion).where(AgentVersion.agent == name, AgentVersion.version == version)
    found = await session.scalar(query)
    if found is None:
        raise NotFound(f"there is no version {version} of the agent {name!r}")
    return found


async def _locked(session: AsyncSession, name: str) -> Agent:
    agent = await repository.lock_known_agent(session, name)
    if agent is None:
        raise NotFound(f"there is no agent {name!r}")
    return agent


def _named(profile: AgentProfile, name: str) -> AgentProfile:
    if profile.name != name:
        raise Invalid("body.profile.name", f"must be {name!r}, the agent that the path names")
    return profile


def _summary(agent: Agent, active: AgentVersion, newest: int) -> AgentSummary:
    profile = active.profile
    return AgentSummary(
        name=agent.name,
        title=profile.get("title", ""),
        language=profile.get("language", ""),
        active_version=agent.active_version,
        newest_version=newest,
        prompt=profile.get("prompt") or None,
        voice=profile.get("voice", {}).get("stored") or None,
        revision=agent.revision,
        archived_at=agent.archived_at,
    )
