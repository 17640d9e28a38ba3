"""``/voices``: how agents sound. Viewers read and operators change, try out and archive them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import select

from app.audit.change import Acting, Changing, Making
from app.auth.service import Role
from app.db.request import Transaction
from app.errors import Unavailable
from app.rest.listing import Asked, Listing
from app.rest.names import SlugPath
from app.rest.route import needs, rest_router
from app.rest.versions import ABSENT, CHANGED, CONFLICT, STALE, UNCHANGED, Reading
from app.voices import service
from app.voices.models import Voice
from app.voices.preview import MEDIA_TYPE, MOST_CHARACTERS, Previewer
from app.voices.schemas import EngineVoices, NewVoice, VoiceChange, VoiceDetail

VOICES = Listing(
    "voices",
    VoiceDetail,
    sorts={
        "name": Voice.name,
        "language": Voice.language,
        "created_at": Voice.created_at,
        "updated_at": Voice.updated_at,
    },
    key=(Voice.name,),
    sort="name",
)

router = rest_router("/voices", "voices")

_WRITES = [needs(Role.OPERATOR)]
_WAV: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "8 kHz, PCM16, mono, as a caller hears it",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


def previewer(request: Request) -> Previewer:
    """The voices of the process. Raises ``Unavailable`` where it has none."""
    found: Previewer | None = request.app.state.parts.previewer
    if found is None:
        raise Unavailable("this process has no engines that speak; ask one that answers calls")
    return found


Speaking = Annotated[Previewer, Depends(previewer)]


@router.get("", response_model=VOICES.schema, response_model_exclude_unset=True)
async def voices(
    session: Transaction,
    asked: Annotated[Asked, Depends(VOICES.asked)],
    language: Annotated[
        str | None, Query(max_length=35, pattern="^[A-Za-z0-9-]+$", description="Only of this language")
    ] = None,
    archived: Annotated[bool, Query(description="Those that were archived, instead")] = False,
) -> BaseModel:
    """Voices, by name."""
    query = select(Voice)
    query = query.where(Voice.archived_at.is_not(None) if archived else Voice.archived_at.is_(None))
    if language is not None:
        query = query.where(Voice.language == language)
    return await VOICES.answer(session, query, asked)


@router.get("/available", dependencies=_WRITES)
async def available(session: Transaction, speaking: Speaking) -> EngineVoices:
    """The voices to choose from: those of the engines of this process, under the engines' own names."""
    await session.commit()  # engines may be slow to tell, and need no connection
    return await speaking.available()


@router.post("", status_code=HTTPStatus.CREATED, dependencies=_WRITES)
async def create(making: Making, wanted: NewVoice) -> VoiceDetail:
    """Make a voice."""
    made = await service.create(making, wanted)
    return making.answer(made, "voices", made.name)


@router.get("/{name}", responses=ABSENT | UNCHANGED)
async def voice(session: Transaction, name: SlugPath, reading: Reading) -> VoiceDetail:
    """One voice."""
    return reading.answer(VoiceDetail.model_validate(await service.find(session, name)))


@router.put("/{name}", responses=ABSENT | CHANGED, dependencies=_WRITES)
async def change(changing: Changing, name: SlugPath, wanted: VoiceChange) -> VoiceDetail:
    """Change a voice, whole: what is left out gets its default. It sounds so from the next call on."""
    return changing.answer(await service.change(changing, name, wanted))


@router.delete(
    "/{name}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=ABSENT | CHANGED | CONFLICT,
    dependencies=_WRITES,
)
async def archive(changing: Changing, name: SlugPath) -> None:
    """Archive a voice: nobody can choose it any more. Refused while an agent speaks with it."""
    await service.archive(changing, name)


@router.post("/{name}/restore", responses=ABSENT | STALE, dependencies=_WRITES)
async def restore(acting: Acting, name: SlugPath) -> VoiceDetail:
    """Let an archived voice be chosen again."""
    return acting.answer(await service.restore(acting, name))


@router.get(
    "/{name}/preview",
    responses=ABSENT | CONFLICT | _WAV,
    response_class=Response,
    dependencies=_WRITES,
)
async def preview(
    session: Transaction,
    name: SlugPath,
    speaking: Speaking,
    text: Annotated[
        str,
        Query(
            min_length=1,
            max_length=MOST_CHARACTERS,
            pattern=r"^[^\x00-\x08\x0b-\x1f]+$",
            description="To be said",
        ),
    ] = "Hello, this is how I sound. How can I help you?",
    engine: Annotated[
        str | None,
        Query(
            max_length=64, pattern="^[a-z][a-z0-9_:]*$", description="This engine alone; default: the best"
        ),
    ] = None,
) -> Response:
    """Hear a voice, as a caller would. Two listeners at once; the others are asked to come again."""
    spec = service.spec_of(await service.find(session, name))
    await session.commit()  # speaking takes seconds, and needs no connection
    return Response(
        await speaking.wav(text, spec, engine), media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"}
    )
