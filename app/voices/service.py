"""Voices: made, changed, archived and taken back."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.service import Action, Actor, write_audit
from app.db.notify import notify
from app.engines.ports import VoiceSpec
from app.errors import Conflict, NotFound
from app.rest.changes import CHANGES
from app.rest.versions import expect, expect_if_given
from app.voices import repository
from app.voices.models import Voice
from app.voices.schemas import NewVoice, VoiceChange, VoiceDetail

RESOURCE = "voices"


async def find(session: AsyncSession, name: str) -> Voice:
    """One voice. Raises ``NotFound``."""
    voice = await session.get(Voice, name)
    if voice is None:
        raise NotFound(f"there is no voice {name!r}")
    return voice


def spec_of(voice: Voice) -> VoiceSpec:
    """The voice as engines are asked for it."""
    return VoiceSpec("", voice.language, voice.rate, voice.pitch, tuple(sorted(voice.names.items())))


async def create(session: AsyncSession, who: Actor, wanted: NewVoice) -> VoiceDetail:
    """Make a voice. Raises ``Conflict`` where the name is taken."""
    voice = Voice(**wanted.model_dump())
    session.add(voice)
    try:
        await session.flush()
    except IntegrityError:
        raise Conflict(f"there is a voice {wanted.name!r} already; choose another name") from None
    await session.refresh(voice)
    made = VoiceDetail.model_validate(voice)
    await write_audit(session, who, Action.CREATE, RESOURCE, voice.name, after=made)
    await notify(session, CHANGES, {"resource": RESOURCE, "id": voice.name})
    return made


async def change(
    session: AsyncSession, who: Actor, name: str, wanted: VoiceChange, if_match: str | None
) -> VoiceDetail:
    """Change a voice, whole: agents that use it speak so from the next call on."""
    voice = await _locked(session, name)
    expect(if_match, voice.revision)
    before = VoiceDetail.model_validate(voice)
    for field, value in wanted.model_dump().items():
        setattr(voice, field, value)
    return await _changed(session, who, Action.CHANGE, voice, before)


async def archive(session: AsyncSession, who: Actor, name: str, if_match: str | None) -> None:
    """Let nobody choose a voice any more. Raises ``Conflict`` while an agent uses it."""
    voice = await _locked(session, name)
    expect(if_match, voice.revision)
    if users := await repository.agents_with(session, name):
        raise Conflict(f"the voice {name!r} is used by: {', '.join(users)}; change these agents first")
    if voice.archived_at is None:
        before = VoiceDetail.model_validate(voice)
        voice.archived_at = datetime.now(UTC)
        await _changed(session, who, Action.ARCHIVE, voice, before)


async def restore(session: AsyncSession, who: Actor, name: str, if_match: str | None) -> VoiceDetail:
    """Let an archived voice be chosen again."""
    voice = await _locked(session, name)
    expect_if_given(if_match, voice.revision)
    before = VoiceDetail.model_validate(voice)
    if voice.archived_at is None:
        return before
    voice.archived_at = None
    return await _changed(session, who, Action.RESTORE, voice, before)


async def _changed(
    session: AsyncSession, who: Actor, action: Action, voice: Voice, before: VoiceDetail
) -> VoiceDetail:
    voice.revision += 1
    voice.updated_at = datetime.now(UTC)
    await session.flush()
    after = VoiceDetail.model_validate(voice)
    await write_audit(session, who, action, RESOURCE, voice.name, before=before, after=after)
    await notify(session, CHANGES, {"resource": RESOURCE, "id": voice.name})
    return after


async def _locked(session: AsyncSession, name: str) -> Voice:
    voice = await repository.lock_voice(session, name)
    if voice is None:
        raise NotFound(f"there is no voice {name!r}")
    return voice
