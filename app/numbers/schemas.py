"""Telephone numbers as the admin API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import phonenumbers
from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from app.numbers.hours import Opening
from app.rest.names import Slug, Title

E164 = r"^\+[1-9]\d{6,14}$"


def _possible(number: str) -> str:
    """A number that can be dialled by its country's rules of length."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        raise ValueError("must be a telephone number in E.164, such as +15551234567") from None
    if not phonenumbers.is_possible_number(parsed):
        raise ValueError("is too short or too long for a number of its country")
    return number


PhoneNumber = Annotated[
    str, StringConstraints(pattern=E164), AfterValidator(_possible), Field(examples=["+15551234567"])
]
"""A number in E.164."""

NumberPath = Annotated[str, Path(pattern=E164, description="The number in E.164, its `+` as `%2B` or `+`")]


class NumberDetail(BaseModel):
    """A number that callers dial. ``opening`` null: its agent answers at any time."""

    model_config = ConfigDict(from_attributes=True)

    number: str
    agent: str
    title: str
    opening: Opening | None
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
