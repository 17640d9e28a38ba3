"""Prompts as the admin API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.rest.names import Note, Slug, Title

MOST_CHARACTERS = 50_000

Content = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MOST_CHARACTERS, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]+$"),
]
"""The text that a language model is told."""


class PromptState(StrEnum):
    """What a version is for."""

    DRAFT = "draft"  # may be edited; answers no calls
    ACTIVE = "active"  # answers calls; at most one
    ARCHIVED = "archived"  # has answered calls, and can be activated again


class _Shown(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class _Taken(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PromptSummary(_Shown):
    """A prompt. ``active_version`` is the one that answers calls; null: none yet."""

    name: str
    title: str
    active_version: int | None
    newest_version: int
    revision: int
    created_at: datetime
    updated_at: datetime


class PromptVersionDetail(_Shown):
    """One text of a prompt. ``activated_at``: when it was last chosen to answer calls."""

    version: int
    state: PromptState
    content: str
    note: str
    created_at: datetime
    activated_at: datetime | None


class PromptDetail(PromptSummary):
    """A prompt with the text that answers calls; null where none does."""

    content: str | None


class NewPrompt(_Taken):
    """A prompt to be made; its text becomes version 1, a draft."""

    name: Slug
    title: Title = ""
    content: Content = Field(examples=["You answer the telephone of Meadow Dental."])
    note: Note = ""


class PromptChange(_Taken):
    """What people call a prompt."""

    title: Title


class NewPromptVersion(_Taken):
    """A draft: a text, and why it is changed."""

    content: Content
    note: Note = ""


class PromptDiff(BaseModel):
    """How two versions differ: a unified diff, empty where they are equal."""

    before: int
    after: int
    diff: str
