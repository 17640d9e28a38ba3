"""Telephone numbers as the admin API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from app.numbers.e164 import E164, PhoneNumber
from app.numbers.hours import Opening
from app.rest.names import Slug, Title

NumberPath = Annotated[str, Path(pattern=E164, description="The number in E.164, its `+` as `%2B` or `+`")]


class NumberDetail(BaseModel):
    """A number that callers dial. ``opening`` null: its agent answers at any time; one that does not fit
    this version of Trunkline is shown as it is stored, and can be replaced."""

    model_config = ConfigDict(from_attributes=True)

    number: str
    agent: str
    title: str
    opening: Annotated[Opening | dict[str, Any] | None, Field(union_mode="left_to_right")]
    revision: int
    created_at: datetime
    updated_at: datetime


class NumberChange(BaseModel):
    """A number, whole."""

    model_config = ConfigDict(extra="forbid")

    agent: Slug
    title: Title = ""
    opening: Opening | None = None


class NewNumber(NumberChange):
    """A number to be answered."""

    number: PhoneNumber


class Answering(BaseModel):
    """Who answers a call to a number at a time, or what happens to it. ``transfer_to``: where it goes."""

    number: str
    at: datetime
    open: bool
    then: Literal["agent", "hang_up", "transfer"]
    agent: str | None
    say: str
    transfer_to: str | None
