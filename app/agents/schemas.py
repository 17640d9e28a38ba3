"""Agents as the admin API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.rest.names import Note
from app.voice.profile import AgentProfile

MOST_MESSAGES = 100
MOST_CHARACTERS = 4_000


class _Taken(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AgentSummary(BaseModel):
    """An agent. ``prompt`` and ``voice`` are stored ones that it speaks with; null: those of its profile."""

    name: str
    title: str
    language: str
    active_version: int
    newest_version: int
    prompt: str | None
    voice: str | None
    revision: int
    archived_at: datetime | None


class AgentDetail(AgentSummary):
    """An agent with the profile that answers calls, as it was stored."""

    profile: dict[str, Any]


class AgentVersionDetail(BaseModel):
    """One profile of an agent, whole. ``active``: it answers calls; ``activated_at``: when it was last
    chosen to."""

    version: int
    active: bool
    note: str
    created_at: datetime
    activated_at: datetime | None
    profile: dict[str, Any]


class NewProfile(_Taken):
    """A profile, whole: what is left out has its default. ``profile.name`` is that of the agent."""

    profile: AgentProfile = Field(
        examples=[{"name": "desk", "language": "en-US", "says": {"greeting": "Hello."}, "prompt": "welcome"}]
    )
    note: Note = ""


class TriedMessage(_Taken):
    """What was said: by the caller (``user``) or by the agent (``assistant``), as the caller heard it."""

    role: Literal["user", "assistant"]
    text: Annotated[str, StringConstraints(min_length=1, max_length=MOST_CHARACTERS)]


class Try(_Taken):
    """A conversation as text; its last words are the caller's.

    ``profile``, or the text of a prompt as ``instructions``, are tried without being stored; ``version``: a
    stored version of the agent instead of the active one.
    """

    messages: list[TriedMessage] = Field(
        min_length=1,
        max_length=MOST_MESSAGES,
        examples=[[{"role": "user", "text": "Where is my parcel?"}]],
    )
    version: Annotated[int | None, Field(ge=1, lt=2**31)] = None
    profile: AgentProfile | None = None
    instructions: Annotated[str | None, StringConstraints(max_length=50_000)] = None
