"""Voices as the admin API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from app.engines.ports import Gender
from app.rest.names import Slug, Title

Language = Annotated[
    str,
    StringConstraints(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"),
    Field(examples=["en-US"]),
]
"""A language tag, BCP 47."""

_Engine = Annotated[str, StringConstraints(max_length=64, pattern=r"^[a-z][a-z0-9_:]*$")]
_EngineVoice = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
_Factor = Annotated[float, Field(ge=0.5, le=2.0, allow_inf_nan=False)]
RESERVED = "available"  # the path of the engines' own voices


class VoiceDetail(BaseModel):
    """A voice. ``names``: what each engine calls it; an archived one cannot be chosen any more."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    title: str
    language: str
    names: dict[str, str]
    rate: float
    pitch: float
    revision: int
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


class VoiceChange(BaseModel):
    """A voice, whole. ``names``: engine -> its own name of the voice; an engine that is left out speaks with
    its best voice of the language. ``rate`` and ``pitch``: factors of the voice's normal ones."""

    model_config = ConfigDict(extra="forbid")

    title: Title = ""
    language: Language = "en-US"
    names: dict[_Engine, _EngineVoice] = Field(
        default_factory=dict, max_length=32, examples=[{"espeak": "en-us+f3", "piper": "en_US-lessac-medium"}]
    )
    rate: _Factor = 1.0
    pitch: _Factor = 1.0


class NewVoice(VoiceChange):
    """A voice to be made."""

    name: Slug = Field(examples=["friendly"])

    @field_validator("name")
    @classmethod
    def _free(cls, name: str) -> str:
        if name == RESERVED:
            raise ValueError(f"{RESERVED!r} is taken; choose another name")
        return name


class EngineVoice(BaseModel):
    """A voice that an engine of this process has. ``gender`` is empty where it is not known."""

    engine: str
    name: str
    language: str
    gender: Gender
    title: str


class SilentEngine(BaseModel):
    """An engine that cannot list its voices now."""

    engine: str
    problem: str


class EngineVoices(BaseModel):
    """The voices of the engines that speak in this process, and the engines that could not list theirs."""

    voices: list[EngineVoice]
    silent: list[SilentEngine]
