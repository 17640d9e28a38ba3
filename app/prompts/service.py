"""Prompts: drafts that become the text of calls, and the way back."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.service import Action, Actor, write_audit
from app.db.notify import notify
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
from app.rest.changes import CHANGES
from app.rest.versions import expect, expect_if_given

RESOURCE = "prompts"


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
    prompt = await session.get(Prompt, name)
    if prompt is None:
        raise NotFound(f"there is no prompt {name!r}")
    return prompt


async def find_version(session: AsyncSession, name: str, version: int) -> PromptVersion:
    """One version of a prompt. Raises ``NotFound``."""
    await find(session, name)
    found = await repository.version_of(session, name, version)
    if found is None:
        raise NotFound(f"there is no version {version} of the prompt {name!r}")
    return found


async def create(session: AsyncSession, who: Actor, wanted: NewPrompt) -> PromptDetail:
    """Make a prompt with a first draft. Raises ``Conflict`` where the name is taken."""
    session.add(Prompt(name=wanted.name, title=wanted.title))
    try:
        await session.flush()
    except IntegrityError:
        raise Conflict(f"there is a prompt {wanted.name!r} already; choose another name") from None
    session.add(_draft(wanted.name, 1, wanted.content, wanted.note))
    await session.flush()
    made = await detail(session, wanted.name)
    after = made.model_dump(mode="json") | {"content": wanted.content}
    await write_audit(session, who, Action.CREATE, RESOURCE, wanted.name, after=after)
    return made


async def rename(
    session: AsyncSession, who: Actor, name: str, wanted: PromptChange, if_match: str | None
) -> PromptDetail:
    """Change what people call a prompt."""
    prompt = await _locked(session, name)
    expect(if_match, prompt.revision)
    before = {"title": prompt.title}
    prompt.title = wanted.title
    await _changed(session, prompt)
    await write_audit(session, who, Action.CHANGE, RESOURCE, name, before=before, after=wanted)
    return await detail(session, name)


async def remove(session: AsyncSession, who: Actor, name: str, if_match: str | None) -> None:
    """Delete a prompt that has never answered a call. Raises ``Conflict`` for any other."""
    prompt = await _locked(session, name)
    expect(if_match, prompt.revision)
    if users := await repository.agents_with(session, name):
        raise Conflict(f"the prompt {name!r} is used by: {', '.join(users)}; change these agents first")
    if await repository.active_version(session, name) or await repository.previously_active(session, name):
        raise Conflict(f"the prompt {name!r} has answered calls, whose records refer to it; it stays")
    before = await detail(session, name)
    await session.delete(prompt)
    await session.flush()
    await write_audit(session, who, Action.DELETE, RESOURCE, name, before=before)
    await notify(session, CHANGES, {"resource": RESOURCE, "id": name})


async def draft(
    session: AsyncSession, who: Actor, name: str, wanted: NewPromptVersion, if_match: str | None
) -> tuple[PromptVersionDetail, int]:
    """Add a draft; returns it and the prompt's revision."""
    prompt = await _locked(session, name)
    expect_if_given(if_match, prompt.revision)
    newest = await repository.newest_versions(session, [name])
    made = _draft(name, newest.get(name, 0) + 1, wanted.content, wanted.note)
    session.add(made)
    await _changed(session, prompt)
    await session.refresh(made)
    shown = PromptVersionDetail.model_validate(made)
    await write_audit(session, who, Action.CREATE, f"{RESOURCE}/versions", _id(made), after=shown)
    return shown, prompt.revision


async def edit(
    session: AsyncSession,
    who: Actor,
    name: str,
    version: int,
    wanted: NewPromptVersion,
    if_match: str | None,
) -> tuple[PromptVersionDetail, int]:
    """Change the text of a draft. Raises ``Conflict`` for a version that has answered calls."""
    prompt = await _locked(session, name)
    found = await find_version(session, name, version)
    expect(if_match, prompt.revision)
    if found.state != PromptState.DRAFT:
        raise Conflict(
            f"version {version} is {found.state}: calls refer to its text, which stays; make a new version"
        )
    before = PromptVersionDetail.model_validate(found)
    found.content, found.note = wanted.content, wanted.note
    await _changed(session, prompt)
    shown = PromptVersionDetail.model_validate(found)
    await write_audit(
        session, who, Action.CHANGE, f"{RESOURCE}/versions", _id(found), before=before, after=shown
    )
    return shown, prompt.revision


async def activate(
    session: AsyncSession, who: Actor, name: str, version: int, if_match: str | None
) -> tuple[PromptDetail, int]:
    """Let a version answer calls from now on. One that does so already stays."""
    prompt = await _locked(session, name)
    found = await find_version(session, name, version)
    expect_if_given(if_match, prompt.revision)
    if found.state != PromptState.ACTIVE:
        await _switch(session, who, Action.ACTIVATE, prompt, found)
    return await detail(session, name), prompt.revision


async def roll_back(
    session: AsyncSession, who: Actor, name: str, if_match: str | None
) -> tuple[PromptDetail, int]:
    """Let the version answer calls that did so before the active one. Raises ``Conflict`` without one."""
    prompt = await _locked(session, name)
    expect_if_given(if_match, prompt.revision)
    previous = await repository.previously_active(session, name)
    if previous is None:
        raise Conflict(f"no other version of the prompt {name!r} has answered calls; activate one by number")
    await _switch(session, who, Action.ROLL_BACK, prompt, previous)
    return await detail(session, name), prompt.revision


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


async def _switch(
    session: AsyncSession, who: Actor, action: Action, prompt: Prompt, chosen: PromptVersion
) -> None:
    active = await repository.active_version(session, prompt.name)
    await repository.archive_active(session, prompt.name)  # at most one may be active at any moment
    chosen.state, chosen.activated_at = PromptState.ACTIVE.value, datetime.now(UTC)
    await _changed(session, prompt)
    await write_audit(
        session,
        who,
        action,
        RESOURCE,
        prompt.name,
        before={"active_version": active.version if active else None},
        after={"active_version": chosen.version},
    )


async def _changed(session: AsyncSession, prompt: Prompt) -> None:
    prompt.revision += 1
    prompt.updated_at = datetime.now(UTC)
    await session.flush()
    await notify(session, CHANGES, {"resource": RESOURCE, "id": prompt.name})


async def _locked(session: AsyncSession, name: str) -> Prompt:
    prompt = await repository.lock_prompt(session, name)
    if prompt is None:
        raise NotFound(f"there is no prompt {name!r}")
    return prompt


def _draft(name: str, version: int, content: str, note: str) -> PromptVersion:
    return PromptVersion(
        prompt=name, version=version, state=PromptState.DRAFT.value, content=content, note=note
    )


def _id(version: PromptVersion) -> str:
    return f"{version.prompt}/{version.version}"
