"""Telephone numbers in E.164, as they are dialled. Pure."""

from __future__ import annotations

from typing import Annotated

import phonenumbers
from pydantic import AfterValidator, Field, StringConstraints

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

CallerNumber = Annotated[str, StringConstraints(pattern=E164), Field(examples=["+15551234567"])]
"""The same as a carrier told it: callers may make numbers up, so that only its form is looked at."""
