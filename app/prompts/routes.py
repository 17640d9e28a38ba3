"""``/prompts``: what language models are told. Viewers read; operators write, activate and roll back."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import select

from app.audit.service import Who
from app.auth.service import Role
from app.db.request import Transaction
from app.errors import problem_docs
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
from app.rest.versions import CHANGED, UNCHANGED, IfMatch, IfMatchOptional, IfNoneMatch, location, show

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

_ABSENT = problem_docs(HTTPStatus.NOT_FOUND)
_WRITES = [needs(Role.OPERATOR)]
_CONFLICT = problem_docs(HTTPStatus.CONFLICT)
_STALE = problem_docs(HTTPStatus.PRECONDITION_FAILED)
VersionNumber = Annotated[int, Query(ge=1, lt=2**31, description="The number of a version")]


@router.get("", response_model=PROMPTS.schema, response_model_exclude_unset=True)
async def prompts(session: Transaction, asked: Annotated[Asked, Depends(PROMPTS.asked)]) -> BaseModel:
    """Prompts, by name."""
    rows, cursor = await PROMPTS.rows(session, select(Prompt), asked)
    return PROMPTS.page(await service.summaries(session, rows), cursor, asked)


@router.post("", status_code=HTTPStatus.CREATED, dependencies=_WRITES)
async def create(
    session: Transaction, who: Who, wanted: NewPrompt, request: Request, response: Response
) -> PromptDetail:
    """Make a prompt, whose version 1 is a draft."""
    made = await service.create(session, who, wanted)
    response.headers["Location"] = location(request, "prompts", made.name)
    show(response, made.revision)
    return made


@router.get("/{name}", responses=_ABSENT | UNCHANGED)
async def prompt(
    session: Transaction, name: SlugPath, response: Response, if_none_match: IfNoneMatch = None
) -> PromptDetail:
    """One prompt, with the text that answers calls."""
    found = await service.detail(session, name)
    show(response, found.revision, if_none_match)
    return found


@router.put("/{name}", responses=_ABSENT | CHANGED, dependencies=_WRITES)
async def rename(
    session: Transaction,
    who: Who,
    name: SlugPath,
    wanted: PromptChange,
    response: Response,
    if_match: IfMatch = None,
) -> PromptDetail:
    """Change what people call a prompt. Its text is changed by a new version."""
    changed = await service.rename(session, who, name, wanted, if_match)
    show(response, changed.revision)
    return changed


@router.delete(
    "/{name}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=_ABSENT | CHANGED | _CONFLICT,
    dependencies=_WRITES,
)
async def delete(session: Transaction, who: Who, name: SlugPath, if_match: IfMatch = None) -> None:
    """Delete a prompt that has never answered a call; records of calls refer to all others."""
    await service.remove(session, who, name, if_match)


@router.get(
    "/{name}/versions",
    response_model=VERSIONS.schema,
    response_model_exclude_unset=True,
    responses=_ABSENT,
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
    rows, cursor = await VERSIONS.rows(session, query, asked)
    return VERSIONS.page([PromptVersionDetail.model_validate(row) for row in rows], cursor, asked)


@router.post(
    "/{name}/versions", status_code=HTTPStatus.CREATED, responses=_ABSENT | _STALE, dependencies=_WRITES
)
async def draft(
    session: Transaction,
    who: Who,
    name: SlugPath,
    wanted: NewPromptVersion,
    request: Request,
    response: Response,
    if_match: IfMatchOptional = None,
) -> PromptVersionDetail:
    """Add a draft; it answers no call before it is activated."""
    made, revision = await service.draft(session, who, name, wanted, if_match)
    response.headers["Location"] = location(request, "prompts", name, "versions", made.version)
    show(response, revision)
    return made


@router.get("/{name}/versions/{version}", responses=_ABSENT | UNCHANGED)
async def version(
    session: Transaction,
    name: SlugPath,
    version: Version,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> PromptVersionDetail:
    """One version. Its `ETag` is that of the prompt."""
    found = await service.find_version(session, name, version)
    show(response, (await service.find(session, name)).revision, if_none_match)
    return PromptVersionDetail.model_validate(found)


@router.put("/{name}/versions/{version}", responses=_ABSENT | CHANGED | _CONFLICT, dependencies=_WRITES)
async def edit(
    session: Transaction,
    who: Who,
    name: SlugPath,
    version: Version,
    wanted: NewPromptVersion,
    response: Response,
    if_match: IfMatch = None,
) -> PromptVersionDetail:
    """Change the text of a draft. Any other version stays as calls have heard it."""
    changed, revision = await service.edit(session, who, name, version, wanted, if_match)
    show(response, revision)
    return changed


@router.post("/{name}/versions/{version}/activate", responses=_ABSENT | _STALE, dependencies=_WRITES)
async def activate(
    session: Transaction,
    who: Who,
    name: SlugPath,
    version: Version,
    response: Response,
    if_match: IfMatchOptional = None,
) -> PromptDetail:
    """Let a version answer calls: the next call of every process."""
    changed, revision = await service.activate(session, who, name, version, if_match)
    show(response, revision)
    return changed


@router.post("/{name}/rollback", responses=_ABSENT | _STALE, dependencies=_WRITES)
async def roll_back(
    session: Transaction, who: Who, name: SlugPath, response: Response, if_match: IfMatchOptional = None
) -> PromptDetail:
    """Let the version answer calls that did so before the active one."""
    changed, revision = await service.roll_back(session, who, name, if_match)
    show(response, revision)
    return changed


@router.get("/{name}/diff", responses=_ABSENT)
async def diff(
    session: Transaction, name: SlugPath, before: VersionNumber, after: VersionNumber
) -> PromptDiff:
    """How two versions of a prompt differ, as a unified diff."""
    return await service.difference(session, name, before, after)
