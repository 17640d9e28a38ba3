"""Reading what calls are answered with: profiles with their stored prompts and voices, and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.models import AgentVersion
from app.agents.repository import active_versions
from app.db.session import Database
from app.metrics import AGENTS_NOT_LOADED
from app.numbers.hours import Opening
from app.numbers.repository import all_numbers
from app.numbers.service import opening_of
from app.prompts.models import PromptVersion
from app.prompts.repository import active_contents
from app.voice.profile import AgentProfile, VoiceSettings
from app.voices.models import Voice
from app.voices.repository import all_voices

# Every change of a row gives it another xmin, whoever made it; these tables are small.
_FINGERPRINT = text("""
    SELECT md5(string_agg(part, ' ' ORDER BY part)) FROM (
        SELECT 'a' || name || ':' || xmin::text AS part FROM agents
        UNION ALL SELECT 'n' || number || ':' || xmin::text FROM numbers
        UNION ALL SELECT 'p' || name || ':' || xmin::text FROM prompts
        UNION ALL SELECT 'v' || name || ':' || xmin::text FROM voices
    ) AS parts
""")
_log = structlog.get_logger(__name__)

_ONE_MOMENT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


class StoredProfileError(Exception):
    """A stored profile does not fit this version of the code, or what it refers to."""


@dataclass(frozen=True, slots=True)
class ActiveAgent:
    """What answers a call: a profile with its stored prompt and voice in it, and the versions that the
    call's record refers to."""

    profile: AgentProfile
    version: int
    prompt: str | None = None
    prompt_version: int | None = None
    voice: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """Which agent answers at a number, and when; ``opening`` ``None``: at any time."""

    agent: str
    opening: Opening | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that calls are answered with, of one moment. ``refused``: agents that cannot be used, and why."""

    agents: dict[str, ActiveAgent]
    lines: dict[str, Line]
    refused: dict[str, StoredProfileError]
    fingerprint: str


async def load_once(database: Database) -> Loaded:
    """Read everything as it is at one moment."""
    async with database.transaction() as session:
        await session.execute(_ONE_MOMENT)
        return await load(session)


async def load_agents(session: AsyncSession) -> dict[str, ActiveAgent]:
    """The agents that can be used, by name."""
    return (await load(session)).agents


async def load(session: AsyncSession) -> Loaded:
    """Read everything, within a transaction of the caller's."""
    prompts, voices = await active_contents(session), await all_voices(session)
    agents, refused = {}, {}
    for stored in await active_versions(session):
        try:
            agents[stored.agent] = resolved(stored, prompts, voices)
        except StoredProfileError as error:
            refused[stored.agent] = error
    lines = {number.number: Line(number.agent, opening_of(number)) for number in await all_numbers(session)}
    return Loaded(agents, lines, refused, await fingerprint(session))


async def fingerprint(session: AsyncSession) -> str:
    """A text that is another one once anything was changed that calls are answered with."""
    return await session.scalar(_FINGERPRINT) or ""


def resolved(
    stored: AgentVersion, prompts: Mapping[str, PromptVersion], voices: Mapping[str, Voice]
) -> ActiveAgent:
    """A version with its stored prompt and voice in it. Raises ``StoredProfileError``."""
    which = f"version {stored.version} of agent {stored.agent!r}"
    try:
        profile = AgentProfile.model_validate(stored.profile)
    except ValidationError as error:
        raise StoredProfileError(
            f"{which} in the database does not fit this version of Trunkline: {_first(error)}; "
            f"{other_version(stored.agent)}"
        ) from None
    prompt = prompts.get(profile.prompt) if profile.prompt else None
    voice = voices.get(profile.voice.stored) if profile.voice.stored else None
    missing = {"prompt": (profile.prompt, prompt), "voice.stored": (profile.voice.stored, voice)}
    for field, (name, found) in missing.items():
        if name and found is None:
            raise StoredProfileError(
                f"{which} names {name!r} as its {field}, which is not in the database or has no active "
                f"version; activate one, or {other_version(stored.agent)}"
            )
    try:
        used = with_stored(profile, prompt.content if prompt else None, voice)
    except ValidationError as error:
        raise StoredProfileError(
            f"{which} speaks with a stored voice that does not fit this version of Trunkline: "
            f"{_first(error)}; change that voice (PUT /api/v1/voices/{profile.voice.stored}), or "
            f"{other_version(stored.agent)}"
        ) from None
    return ActiveAgent(
        used,
        stored.version,
        prompt.prompt if prompt else None,
        prompt.version if prompt else None,
        voice.name if voice else None,
    )


def with_stored(profile: AgentProfile, instructions: str | None, voice: Voice | None) -> AgentProfile:
    """The profile as calls use it: with a stored prompt's text and a stored voice, where it names them.

    Raises ``ValidationError`` for a voice that is beyond the bounds of this version of the code.
    """
    changes: dict[str, Any] = {}
    if instructions is not None:
        changes["instructions"] = instructions
    if voice is not None:
        changes["voice"] = VoiceSettings(
            stored=voice.name, names=voice.names, rate=voice.rate, pitch=voice.pitch
        )
    return profile.model_copy(update=changes) if changes else profile


def other_version(agent: str) -> str:
    """What to do about a stored profile that cannot be used."""
    return (
        f"activate another version over the API (POST /api/v1/agents/{agent}/rollback), or change "
        f"config/agents/{agent}.yaml: what is new in it becomes the active version when a process starts"
    )


def tell_refused(agent: str, problem: str) -> None:
    """Log and count a stored agent that cannot be used."""
    AGENTS_NOT_LOADED.inc()
    _log.error("a stored agent cannot be used; calls are answered as before", agent=agent, problem=problem)


def _first(error: ValidationError) -> str:
    """The first of what does not fit, without its value."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
