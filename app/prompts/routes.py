"""``/prompts``: what language models are told. Viewers read; operators write, activate and roll back."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel
from sqlalchemy import select

from app.audit.change import Acting, Changing, Making
from app.auth.service import Role
from app.db.request import Transaction
from app.prompts import service
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
from app.rest.listing import Asked, Listing
from app.rest.names import SlugPath, Version
from app.rest.route import needs, rest_router
from app.rest.versions import ABSENT, CHANGED, CONFLICT, STALE, UNCHANGED, Reading

PROMPTS = Listing(
    "prompts",
    PromptSummary,
    sorts={"name": Prompt.name, "created_at": Prompt.created_at, "updated_at": Prompt.updated_at},
    key=(Prompt.name,),
    sort="name",
)
VERSIONS = Listing(
    "versions",
    PromptVersionDetail,
    sorts={"version": PromptVersion.version},
    key=(PromptVersion.version,),
    sort="-version",
)

router = rest_router("/prompts", "prompts")

_WRITES = [needs(Role.OPERATOR)]
VersionNumber = Annotated[int, Query(ge=1, lt=2**31, description="The number of a version")]


@router.get("", response_model=PROMPTS.schema, response_model_exclude_unset=True)
async def prompts(session: Transaction, asked: Annotated[Asked, Depends(PROMPTS.asked)]) -> BaseModel:
    """Prompts, by name."""
    rows, cursor = await PROMPTS.rows(session, select(Prompt), asked)
    return PROMPTS.page(await service.summaries(session, rows), cursor, asked)


@router.post("", status_code=HTTPStatus.CREATED, dependencies=_WRITES)
async def create(making: Making, wanted: NewPrompt) -> PromptDetail:
    """Make a prompt, whose version 1 is a draft."""
    made = await service.create(making, wanted)
    return making.answer(made, "prompts", made.name)


@router.get("/{name}", responses=ABSENT | UNCHANGED)
async def prompt(session: Transaction, name: SlugPath, reading: Reading) -> PromptDetail:
    """One prompt, with the text that answers calls."""
    return reading.answer(await service.detail(session, name))


@router.put("/{name}", responses=ABSENT | CHANGED, dependencies=_WRITES)
async def rename(changing: Changing, name: SlugPath, wanted: PromptChange) -> PromptDetail:
    """Change what people call a prompt. Its text is changed by a new version."""
    return changing.answer(await service.rename(changing, name, wanted))


@router.delete(
    "/{name}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=ABSENT | CHANGED | CONFLICT,
    dependencies=_WRITES,
)
async def delete(changing: Changing, name: SlugPath) -> None:
    """Delete a prompt that has never answered a call; records of calls refer to all others."""
    await service.remove(changing, name)


@router.get(
    "/{name}/versions",
    response_model=VERSIONS.schema,
    response_model_exclude_unset=True,
    responses=ABSENT,
)
async def versions(
    session: Transaction,
    name: SlugPath,
    asked: Annotated[Asked, Depends(VERSIONS.asked)],
    state: Annotated[PromptState | None, Query(description="Only those in this state")] = None,
) -> BaseModel:
    """The versions of a prompt, newest first."""
    await service.find(session, name)
    query = select(PromptVersion).where(PromptVersion.prompt == name)
    if state is not None:
        query = query.where(PromptVersion.state == state.value)
    return await VERSIONS.answer(session, query, asked)


@router.post(
    "/{name}/versions", status_code=HTTPStatus.CREATED, responses=ABSENT | STALE, dependencies=_WRITES
)
async def draft(acting: Acting, name: SlugPath, wanted: NewPromptVersion) -> PromptVersionDetail:
    """Add a draft; it answers no call before it is activated."""
    made, revision = await service.draft(acting, name, wanted)
    acting.place("prompts", name, "versions", made.version)
    acting.tag(revision)
    return made


@router.get("/{name}/versions/{version}", responses=ABSENT | UNCHANGED)
async def version(
    session: Transaction, name: SlugPath, version: Version, reading: Reading
) -> PromptVersionDetail:
    """One version. Its `ETag` is that of the prompt."""
    found = await service.find_version(session, name, version)
    reading.tag((await service.find(session, name)).revision)
    return PromptVersionDetail.model_validate(found)


@router.put("/{name}/versions/{version}", responses=ABSENT | CHANGED | CONFLICT, dependencies=_WRITES)
async def edit(
    changing: Changing, name: SlugPath, version: Version, wanted: NewPromptVersion
) -> PromptVersionDetail:
    """Change the text of a draft. Any other version stays as calls have heard it."""
    changed, revision = await service.edit(changing, name, version, wanted)
    changing.tag(revision)
    return changed


@router.post("/{name}/versions/{version}/activate", responses=ABSENT | STALE, dependencies=_WRITES)
async def activate(acting: Acting, name: SlugPath, version: Version) -> PromptDetail:
    """Let a version answer calls: the next call of every process."""
    return acting.answer(await service.activate(acting, name, version))


@router.post("/{name}/rollback", responses=ABSENT | STALE, dependencies=_WRITES)
async def roll_back(acting: Acting, name: SlugPath) -> PromptDetail:
    """Let the version answer calls that did so before the active one."""
    return acting.answer(await service.roll_back(acting, name))


@router.get("/{name}/diff", responses=ABSENT)
async def diff(
    session: Transaction, name: SlugPath, before: VersionNumber, after: VersionNumber
) -> PromptDiff:
    """How two versions of a prompt differ, as a unified diff."""
    return await service.difference(session, name, before, after)
