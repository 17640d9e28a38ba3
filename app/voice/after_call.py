"""What an agent's calls are worked up into once they are over: part ``after`` of its profile. Pure data."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Days = Annotated[int, Field(ge=0, le=36500)]
FieldType = Literal["text", "integer", "number", "boolean", "date", "choice"]

MOST = 50
"""Dispositions, fields or criteria of one agent."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Disposition(_Part):
    """How a call may have ended up. A language model goes by ``title``; without one the rules decide.

    The first disposition of the list fits of which one of these is true: an intent of the agent's script was
    among what the caller said, one of the tools was used, the caller said one of the phrases, or the call has
    one of the outcomes (success, caller, carrier, us, unknown).
    """

    name: Slug
    title: str = Field(min_length=1, max_length=500)
    intents: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    outcomes: tuple[Literal["success", "caller", "carrier", "us", "unknown"], ...] = ()


class AskedField(_Part):
    """Something to be known of a call. A language model goes by ``title``; without one, by the rules.

    Without a model: ``slot`` names a number that the agent's script asks for, whose last one said is taken;
    ``pattern``, a regular expression, is looked for in what the caller said, and its last find is taken. With
    a model the value must match the whole ``pattern``, if there is one.
    """

    name: Slug
    title: str = Field(min_length=1, max_length=500)
    type: FieldType = "text"
    choices: tuple[str, ...] = ()
    pattern: str = Field(default="", max_length=500)
    slot: str = ""

    @field_validator("pattern")
    @classmethod
    def _is_expression(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError("choices belong to the type choice, which needs them")
        if self.pattern and self.type != "text":
            raise ValueError("a pattern belongs to the type text")
        return self


class Criterion(_Part):
    """One line of a scorecard. With a ``rule`` it is counted; without one, a language model judges ``title``.

    ``kind``: yes_no, or scale (part of the weight). ``weight``: its share in the score. Rules: ``said``: the
    agent said one of ``phrases``, ``where`` (its first words, its last ones, anywhere); ``quick``: replies
    began within ``milliseconds`` (yes: 9 of 10); ``uninterrupted``: the agent did not take the floor from the
    caller; ``understood``: turns that were no failure to understand (yes: all).
    """

    name: Slug
    title: str = Field(min_length=1, max_length=500)
    weight: float = Field(default=1.0, gt=0, le=1000)
    kind: Literal["yes_no", "scale"] = "yes_no"
    rule: Literal["", "said", "quick", "uninterrupted", "understood"] = ""
    phrases: tuple[str, ...] = ()
    where: Literal["first", "last", "anywhere"] = "anywhere"
    milliseconds: float = Field(default=1500.0, gt=0)

    @model_validator(mode="after")
    def _has_what_its_rule_needs(self) -> Self:
        if (self.rule == "said") != bool(self.phrases):
            raise ValueError("phrases belong to the rule said, which needs them")
        return self


class Retention(_Part):
    """After how many days what is left of the agent's calls is deleted; 0: never; left out: the settings'.

    ``transcripts_days`` is of all that was said: words, search, results and recordings.
    """

    recordings_days: Days | None = None
    transcripts_days: Days | None = None
    calls_days: Days | None = None


class AfterCall(_Part):
    """The work after a call. ``redact``: personal data is taken out of transcript and recording first."""

    summary: bool = True
    sentiment: bool = True
    redact: bool = False
    dispositions: tuple[Disposition, ...] = Field(default=(), max_length=MOST)
    fields: tuple[AskedField, ...] = Field(default=(), max_length=MOST)
    rubric: tuple[Criterion, ...] = Field(default=(), max_length=MOST)
    retention: Retention = Retention()

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Self:
        for what, parts in (
            ("dispositions", self.dispositions),
            ("fields", self.fields),
            ("rubric", self.rubric),
        ):
            names = [part.name for part in parts]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"after.{what} has two entries named {twice[0]!r}")
        return self
