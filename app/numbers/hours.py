"""Opening hours: weekly, with exceptions by date, in the time zone of the place. Pure.

What counts is the clock on the wall there, whatever daylight saving does to it: an hour that comes twice is
open both times, one that is left out never comes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from app.numbers.e164 import PhoneNumber

MINUTES = 24 * 60

_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_NAME = r"^[a-z][a-z0-9_-]{0,62}$"


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError("must be a time zone by its IANA name, such as Europe/Berlin")
    return name


def _time(value: str) -> str:
    if not _TIME.fullmatch(value):
        raise ValueError("must be a time such as 08:30, up to 24:00")
    return value


Zone = Annotated[
    str, StringConstraints(max_length=64), AfterValidator(_known_zone), Field(examples=["Europe/Berlin"])
]
"""A time zone by its IANA name."""

Time = Annotated[str, StringConstraints(max_length=5), AfterValidator(_time), Field(examples=["08:30"])]
"""A time of the day, by the clock on the wall; 24:00 is its end."""


class Weekday(StrEnum):
    """The days, in the order of ``date.weekday``."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


_DAYS = list(Weekday)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Span(_Part):
    """Open from ``begins`` until before ``ends``; one that ends earlier than it begins, on the next day."""

    begins: Time
    ends: Time

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.begins in {self.ends, "24:00"}:
            raise ValueError("must last some time: 00:00 to 24:00 is the whole day")
        return self

    @property
    def minutes(self) -> tuple[int, int]:
        """First minute and the one after the last, from midnight of the day on which it begins."""
        begins, ends = _minutes(self.begins), _minutes(self.ends)
        return begins, ends if ends > begins else ends + MINUTES


Spans = Annotated[tuple[Span, ...], Field(max_length=12)]


class Exceptional(_Part):
    """A day with hours of its own instead of its weekday's; none: closed."""

    day: Annotated[date, Field(examples=["2026-12-25"])]
    title: Annotated[str, StringConstraints(max_length=200)] = ""
    hours: Spans = ()


class HangUp(_Part):
    """Say a sentence, then hang up."""

    then: Literal["hang_up"] = "hang_up"
    say: Annotated[
        str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x08\x0b-\x1f]+$")
    ] = "We are closed now. Please call again during our opening hours. Goodbye."


class Transfer(_Part):
    """Say a sentence, if there is one, then put the caller through to a number."""

    then: Literal["transfer"]
    say: Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00-\x08\x0b-\x1f]*$")] = ""
    number: PhoneNumber


class OtherAgent(_Part):
    """Let another agent answer."""

    then: Literal["agent"]
    agent: Annotated[str, StringConstraints(pattern=_NAME)]


def _with_default(value: object) -> object:
    return {"then": "hang_up", **value} if isinstance(value, dict) and "then" not in value else value


Closed = Annotated[
    HangUp | Transfer | OtherAgent, Field(discriminator="then"), BeforeValidator(_with_default)
]
"""What happens to calls while nobody is there."""


class Opening(_Part):
    """When a number is answered by its agent, and what happens to calls at any other time."""

    timezone: Zone
    weekly: dict[Weekday, Spans] = Field(default_factory=dict)
    exceptions: Annotated[tuple[Exceptional, ...], Field(max_length=366)] = ()
    closed: Closed = HangUp()

    @model_validator(mode="after")
    def _each_day_once(self) -> Self:
        days = [exception.day for exception in self.exceptions]
        if len(set(days)) < len(days):
            raise ValueError("each day may have one exception")
        return self

    def spans(self, day: date) -> Spans:
        """The hours that begin on a day."""
        for exception in self.exceptions:
            if exception.day == day:
                return exception.hours
        return self.weekly.get(_DAYS[day.weekday()], ())


@dataclass(frozen=True, slots=True)
class Answerer:
    """Which agent answers a call. ``closed``: what it does instead of its work; ``None``: its work."""

    agent: str
    open: bool = True
    closed: HangUp | Transfer | None = None


def who_answers(
    agent: str, opening: Opening | None, at: datetime | None, able: Callable[[str], bool], usual: str
) -> Answerer:
    """Who answers at a number of ``agent``, at an aware time; ``None``: while it is open.

    ``able``: whether an agent can. ``usual`` answers where the number's agent cannot, and the number's where
    the one of its closed hours cannot.
    """
    agent = agent if able(agent) else usual
    if opening is None or at is None or is_open(opening, at):
        return Answerer(agent)
    closed = opening.closed
    if isinstance(closed, OtherAgent):
        return Answerer(closed.agent if able(closed.agent) else agent, open=False)
    return Answerer(agent, open=False, closed=closed)


def is_open(opening: Opening, at: datetime) -> bool:
    """Whether it is open at an aware time."""
    local = at.astimezone(ZoneInfo(opening.timezone))
    minute = local.hour * 60 + local.minute
    yesterday = local.date() - timedelta(days=1)
    return _within(opening.spans(local.date()), minute) or _within(opening.spans(yesterday), minute + MINUTES)


def _within(spans: Spans, minute: int) -> bool:
    return any(begins <= minute < ends for begins, ends in (span.minutes for span in spans))


def _minutes(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)
