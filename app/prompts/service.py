"""Prompts: drafts that become the text of calls, and the way back."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.change import Change
from app.audit.service import Action
from app.errors import Conflict, NotFound
from app.prompts import repository
from app.prompts.models import Prompt, PromptVersion
from app.prompts.schemas import (
    NewPrompt,
    NewPromptVersion,
    PromptChange,
    PromptDetail,
    PromptDiff,
    PromptState,
    PromptSummary,
    PromptVersionDetail,
)
from app.rest.rows import find_row

RESOURCE = "prompts"
VERSIONS = "prompts/versions"


async def summaries(session: AsyncSession, prompts: Sequence[Prompt]) -> list[PromptSummary]:
    """Prompts with the numbers of their versions."""
    names = [prompt.name for prompt in prompts]
    active = await repository.active_versions(session, names)
    newest = await repository.newest_versions(session, names)
    return [
        PromptSummary(
            name=prompt.name,
            title=prompt.title,
            active_version=active.get(prompt.name),
            newest_version=newest[prompt.name],
            revision=prompt.revision,
            created_at=prompt.created_at,
            updated_at=prompt.updated_at,
        )
        for prompt in prompts
    ]


async def detail(session: AsyncSession, name: str) -> PromptDetail:
    """One prompt with the text that answers calls. Raises ``NotFound``."""
    (summary,) = await summaries(session, [await find(session, name)])
    active = await repository.active_version(session, name)
    return PromptDetail(**summary.model_dump(), content=active.content if active else None)


async def find(session: AsyncSession, name: str) -> Prompt:
    """One prompt. Raises ``NotFound``."""
    return await find_row(session, Prompt, name, "prompt")


async def find_version(session: AsyncSession, name: str, version: int) -> PromptVersion:
    """One version of a prompt. Raises ``NotFound``."""
    await find(session, name)
    found = await repository.version_of(session, name, version)
    if found is None:
        raise NotFound(f"there is no version {version} of the prompt {name!r}")
    return found


async def create(making: Change, wanted: NewPrompt) -> PromptDetail:
    """Make a prompt with a first draft. Raises ``Conflict`` where the name is taken."""
    prompt = Prompt(name=wanted.name, title=wanted.title)
    await making.add(prompt, f"there is a prompt {wanted.name!r} already; choose another name")
    making.session.add(_draft(wanted.name, 1, wanted))
    made = await detail(making.session, wanted.name)
    after = made.model_dump(mode="json") | {"content": wanted.content}
    await making.record(Action.CREATE, RESOURCE, wanted.name, after=after)
    return made


async def rename(changing: Change, name: str, wanted: PromptChange) -> PromptDetail:
    """Change what people call a prompt. Raises ``NotFound``."""
    prompt = await changing.lock(Prompt, name, "prompt")
    before = {"title": prompt.title}
    prompt.title = wanted.title
    _count(prompt)
    await changing.record(Action.CHANGE, RESOURCE, name, before=before, after=wanted)
    return await detail(changing.session, name)


async def remove(changing: Change, name: str) -> None:
    """Delete a prompt that has never answered a call. Raises ``NotFound``, ``Conflict`` for any other."""
    session = changing.session
    prompt = await changing.lock(Prompt, name, "prompt")
    if users := await repository.agents_with(session, name):
        raise Conflict(f"the prompt {name!r} is used by: {', '.join(users)}; change these agents first")
    if await repository.active_version(session, name) or await repository.previously_active(session, name):
        raise Conflict(f"the prompt {name!r} has answered calls, whose records refer to it; it stays")
    before = await detail(session, name)
    await session.delete(prompt)
    await changing.record(Action.DELETE, RESOURCE, name, before=before)


async def draft(changing: Change, name: str, wanted: NewPromptVersion) -> tuple[PromptVersionDetail, int]:
    """Add a draft; returns it and the prompt's revision. Raises ``NotFound``."""
    session = changing.session
    prompt = await changing.lock(Prompt, name, "prompt")
    newest = await repository.newest_versions(session, [name])
    made = _draft(name, newest.get(name, 0) + 1, wanted)
    session.add(made)
    _count(prompt)
    await session.flush()
    await session.refresh(made)
    shown = PromptVersionDetail.model_validate(made)
    await changing.record(Action.CREATE, VERSIONS, _id(made), after=shown)
    return shown, prompt.revision


async def edit(
    changing: Change, name: str, version: int, wanted: NewPromptVersion
) -> tuple[PromptVersionDetail, int]:
    """Change the text of a draft; returns it and the prompt's revision.

    Raises ``NotFound``, and ``Conflict`` for a version that has answered calls.
    """
    prompt = await changing.lock(Prompt, name, "prompt")
    found = await find_version(changing.session, name, version)
    if found.state != PromptState.DRAFT:
        raise Conflict(
            f"version {version} is {found.state}: calls refer to its text, which stays; make a new version"
        )
    before = PromptVersionDetail.model_validate(found)
    found.content, found.note = wanted.content, wanted.note
    _count(prompt)
    shown = PromptVersionDetail.model_validate(found)
    await changing.record(Action.CHANGE, VERSIONS, _id(found), before=before, after=shown)
    return shown, prompt.revision


async def activate(changing: Change, name: str, version: int) -> PromptDetail:
    """Let a version answer calls from now on. One that does so already stays. Raises ``NotFound``."""
    prompt = await changing.lock(Prompt, name, "prompt")
    found = await find_version(changing.session, name, version)
    if found.state != PromptState.ACTIVE:
        await _switch(changing, Action.ACTIVATE, prompt, found)
    return await detail(changing.session, name)


async def roll_back(changing: Change, name: str) -> PromptDetail:
    """Let the version answer calls that did so before the active one.

    Raises ``NotFound``, and ``Conflict`` where there is none.
    """
    prompt = await changing.lock(Prompt, name, "prompt")
    previous = await repository.previously_active(changing.session, name)
    if previous is None:
        raise Conflict(f"no other version of the prompt {name!r} has answered calls; activate one by number")
    await _switch(changing, Action.ROLL_BACK, prompt, previous)
    return await detail(changing.session, name)


async def difference(session: AsyncSession, name: str, before: int, after: int) -> PromptDiff:
    """How two versions differ. Raises ``NotFound``."""
    old, new = [await find_version(session, name, version) for version in (before, after)]
    lines = difflib.unified_diff(
        old.content.splitlines(),
        new.content.splitlines(),
        f"{name} version {before}",
        f"{name} version {after}",
        lineterm="",
    )
    return PromptDiff(before=before, after=after, diff="\n".join(lines))


async def _switch(changing: Change, action: Action, prompt: Prompt, chosen: PromptVersion) -> None:
    active = await repository.active_version(changing.session, prompt.name)
    before = {"active_version": active.version if active else None}
    await repository.archive_active(changing.session, prompt.name)  # at most one is active at any moment
    chosen.state, chosen.activated_at = PromptState.ACTIVE.value, datetime.now(UTC)
    _count(prompt)
    after = {"active_version": chosen.version}
    await changing.record(action, RESOURCE, prompt.name, before=before, after=after)


def _count(prompt: Prompt) -> None:
    prompt.revision += 1
    prompt.updated_at = datetime.now(UTC)


def _draft(name: str, version: int, wanted: NewPrompt | NewPromptVersion) -> PromptVersion:
    state = PromptState.DRAFT.value
    return PromptVersion(prompt=name, version=version, state=state, content=wanted.content, note=wanted.note)


def _id(version: PromptVersion) -> str:
    return f"{version.prompt}/{version.version}"
