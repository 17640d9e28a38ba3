"""Voices: made, changed, archived and taken back."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.change import Change
from app.audit.service import Action
from app.engines.ports import VoiceSpec
from app.errors import Conflict
from app.rest.rows import find_row
from app.voices import repository
from app.voices.models import Voice
from app.voices.schemas import NewVoice, VoiceChange, VoiceDetail

RESOURCE = "voices"


async def find(session: AsyncSession, name: str) -> Voice:
    """One voice. Raises ``NotFound``."""
    return await find_row(session, Voice, name, "voice")


def spec_of(voice: Voice) -> VoiceSpec:
    """The voice as engines are asked for it."""
    return VoiceSpec("", voice.language, voice.rate, voice.pitch, tuple(sorted(voice.names.items())))


async def create(making: Change, wanted: NewVoice) -> VoiceDetail:
    """Make a voice. Raises ``Conflict`` where the name is taken."""
    voice = Voice(**wanted.model_dump())
    await making.add(voice, f"there is a voice {wanted.name!r} already; choose another name")
    made = VoiceDetail.model_validate(voice)
    await making.record(Action.CREATE, RESOURCE, voice.name, after=made)
    return made


async def change(changing: Change, name: str, wanted: VoiceChange) -> VoiceDetail:
    """Change a voice, whole: agents that use it speak so from the next call on. Raises ``NotFound``."""
    voice = await changing.lock(Voice, name, "voice")
    before = VoiceDetail.model_validate(voice)
    for field, value in wanted.model_dump().items():
        setattr(voice, field, value)
    return await _changed(changing, Action.CHANGE, voice, before)


async def archive(changing: Change, name: str) -> None:
    """Let nobody choose a voice any more. Raises ``NotFound``; ``Conflict`` while an agent uses it."""
    voice = await changing.lock(Voice, name, "voice")
    if users := await repository.agents_with(changing.session, name):
        raise Conflict(f"the voice {name!r} is used by: {', '.join(users)}; change these agents first")
    if voice.archived_at is None:
        before = VoiceDetail.model_validate(voice)
        voice.archived_at = datetime.now(UTC)
        await _changed(changing, Action.ARCHIVE, voice, before)


async def restore(changing: Change, name: str) -> VoiceDetail:
    """Let an archived voice be chosen again. Raises ``NotFound``."""
    voice = await changing.lock(Voice, name, "voice")
    before = VoiceDetail.model_validate(voice)
    if voice.archived_at is None:
        return before
    voice.archived_at = None
    return await _changed(changing, Action.RESTORE, voice, before)


async def _changed(changing: Change, action: Action, voice: Voice, before: VoiceDetail) -> VoiceDetail:
    voice.revision += 1
    voice.updated_at = datetime.now(UTC)
    after = VoiceDetail.model_validate(voice)
    await changing.record(action, RESOURCE, voice.name, before=before, after=after)
    return after
