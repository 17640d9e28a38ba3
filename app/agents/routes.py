"""``/agents``: who answers calls, and how. Viewers read, operators try, admins change."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import select

from app.agents import service
from app.agents.models import Agent, AgentVersion
from app.agents.schemas import (
    AgentDetail,
    AgentSummary,
    AgentVersionDetail,
    NewProfile,
    TriedMessage,
    Try,
)
from app.agents.serving import refuse_unserved
from app.agents.trying import TryingRoom
from app.audit.change import Acting, Changing, Making
from app.auth.service import Role
from app.db.request import Transaction
from app.engines.errors import EngineError
from app.errors import Invalid, Unavailable
from app.rest.listing import Asked, Listing
from app.rest.names import SlugPath, Version
from app.rest.route import REPEATABLE, needs, rest_router
from app.rest.stream import MEDIA_TYPE, EventStream, event, event_schema
from app.rest.versions import ABSENT, CHANGED, CONFLICT, STALE, UNCHANGED, Reading
from app.voice.profile import AgentProfile

AGENTS = Listing("agents", AgentSummary, sorts={"name": Agent.name}, key=(Agent.name,), sort="name")
VERSIONS = Listing(
    "versions",
    AgentVersionDetail,
    sorts={"version": AgentVersion.version},
    key=(AgentVersion.version,),
    sort="-version",
)

router = rest_router("/agents", "agents")

_CHANGES = [needs(Role.ADMIN)]
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer as server-sent events, each with JSON as data: `text`, `tool`, `expects`, "
        "and at the end `done` or `error`",
        "content": {
            MEDIA_TYPE: {
                "itemSchema": event_schema(["text", "tool", "expects", "done", "error"]),
                "example": 'event: text\ndata: {"text":"It arrives tomorrow."}\n\n'
                'event: done\ndata: {"text":"It arrives tomorrow.","then":"listen","tools":[],'
                '"first_token_ms":180,"milliseconds":420}\n\n',
            }
        },
    }
}


def trying_room(request: Request) -> TryingRoom:
    """The language model of the process. Raises ``Unavailable`` where it has none."""
    found: TryingRoom | None = request.app.state.parts.trying
    if found is None:
        raise Unavailable("this process has no language model; ask one that answers calls")
    return found


@router.get("", response_model=AGENTS.schema, response_model_exclude_unset=True)
async def agents(
    session: Transaction,
    asked: Annotated[Asked, Depends(AGENTS.asked)],
    archived: Annotated[bool, Query(description="Those that were archived, instead")] = False,
) -> BaseModel:
    """Agents, by name."""
    query = select(Agent).where(Agent.archived_at.is_not(None) if archived else Agent.archived_at.is_(None))
    rows, cursor = await AGENTS.rows(session, query, asked)
    return AGENTS.page(await service.summaries(session, rows), cursor, asked)


@router.post("", status_code=HTTPStatus.CREATED, dependencies=_CHANGES)
async def create(making: Making, wanted: NewProfile) -> AgentDetail:
    """Make an agent. It answers calls where a number, or the settings, name it."""
    made = await service.create(making, wanted)
    await refuse_unserved(making.request, made.profile)
    return making.answer(made, "agents", made.name)


@router.get("/{name}", responses=ABSENT | UNCHANGED)
async def agent(session: Transaction, name: SlugPath, reading: Reading) -> AgentDetail:
    """One agent, with the profile that answers calls."""
    return reading.answer(await service.detail(session, name))


@router.put("/{name}", responses=ABSENT | CHANGED | CONFLICT, dependencies=_CHANGES)
async def change(changing: Changing, name: SlugPath, wanted: NewProfile) -> AgentDetail:
    """Answer calls with another profile, from the next one on: a new version, active at once."""
    changed = await service.change(changing, name, wanted)
    await refuse_unserved(changing.request, changed.profile)
    return changing.answer(changed)


@router.delete(
    "/{name}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=ABSENT | CHANGED | CONFLICT,
    dependencies=_CHANGES,
)
async def archive(changing: Changing, name: SlugPath) -> None:
    """Archive an agent. Refused while a number or the settings name it."""
    await service.archive(changing, name, changing.request.app.state.parts.usual_agent)


@router.post("/{name}/restore", responses=ABSENT | STALE, dependencies=_CHANGES)
async def restore(acting: Acting, name: SlugPath) -> AgentDetail:
    """Let an archived agent answer again."""
    restored = await service.restore(acting, name)
    await refuse_unserved(acting.request, restored.profile)
    return acting.answer(restored)


@router.get(
    "/{name}/versions",
    response_model=VERSIONS.schema,
    response_model_exclude_unset=True,
    responses=ABSENT,
)
async def versions(
    session: Transaction, name: SlugPath, asked: Annotated[Asked, Depends(VERSIONS.asked)]
) -> BaseModel:
    """The versions of an agent, newest first."""
    found = await service.find(session, name)
    query = select(AgentVersion).where(AgentVersion.agent == name)
    rows, cursor = await VERSIONS.rows(session, query, asked)
    return VERSIONS.page([service.shown(found, row) for row in rows], cursor, asked)


@router.post(
    "/{name}/versions", status_code=HTTPStatus.CREATED, responses=ABSENT | STALE, dependencies=_CHANGES
)
async def add_version(acting: Acting, name: SlugPath, wanted: NewProfile) -> AgentVersionDetail:
    """Keep a profile as a version that answers no calls before it is activated."""
    made, revision = await service.add_version(acting, name, wanted)
    acting.place("agents", name, "versions", made.version)
    acting.tag(revision)
    return made


@router.get("/{name}/versions/{version}", responses=ABSENT)
async def version(session: Transaction, name: SlugPath, version: Version) -> AgentVersionDetail:
    """One version of an agent."""
    return await service.find_version(session, name, version)


@router.post("/{name}/versions/{version}/activate", responses=ABSENT | STALE, dependencies=_CHANGES)
async def activate(acting: Acting, name: SlugPath, version: Version) -> AgentDetail:
    """Answer calls with a version, from the next one on."""
    changed = await service.activate(acting, name, version)
    await refuse_unserved(acting.request, changed.profile)
    return acting.answer(changed)


@router.post("/{name}/rollback", responses=ABSENT | STALE, dependencies=_CHANGES)
async def roll_back(acting: Acting, name: SlugPath) -> AgentDetail:
    """Answer calls with the version that did so before the active one."""
    changed = await service.roll_back(acting, name)
    await refuse_unserved(acting.request, changed.profile)
    return acting.answer(changed)


@router.post(
    "/{name}/try",
    responses=ABSENT | CONFLICT | _EVENTS,
    response_class=EventStream,
    dependencies=[needs(Role.OPERATOR)],
    openapi_extra=REPEATABLE,
)
async def try_out(
    session: Transaction,
    name: SlugPath,
    wanted: Try,
    room: Annotated[TryingRoom, Depends(trying_room)],
) -> Response:
    """Talk to an agent as text, also with a profile or a prompt that is not stored.

    Nothing is changed and nobody is called: `look_up` is used, other tools are only told.
    """
    if wanted.messages[-1].role != "user":
        raise Invalid("body.messages", "must end with what the caller says")
    profile = await service.profile_to_try(
        session,
        name,
        version=wanted.version,
        profile=wanted.profile,
        instructions=wanted.instructions,
    )
    return EventStream(_events(room, profile, wanted.messages))


async def _events(
    room: TryingRoom, profile: AgentProfile, messages: Sequence[TriedMessage]
) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(room.answer(profile, messages)) as answer:
            async for step in answer:
                yield event(step.name, step.data)
    except EngineError:
        raise Unavailable("no language model answers now; see /health/ready, and try again soon") from None
