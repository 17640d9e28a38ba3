"""Opening hours: weekly, by date, over midnight, and where daylight saving moves the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.numbers.hours import (
    Answerer,
    Closed,
    Exceptional,
    HangUp,
    Opening,
    OtherAgent,
    Span,
    Transfer,
    Weekday,
    is_open,
    who_answers,
)

OFFICE = Opening(
    timezone="Europe/Berlin",
    weekly={day: (Span(begins="09:00", ends="17:30"),) for day in list(Weekday)[:5]},
    exceptions=(
        Exceptional(day=date(2026, 12, 25)),
        Exceptional(day=date(2026, 12, 26), hours=(Span(begins="10:00", ends="12:00"),)),
    ),
)


def open_at(opening: Opening, local: str) -> bool:
    """At a time of the clock on the wall there."""
    return is_open(opening, datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(opening.timezone)))


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-11-23T08:59:59", False),  # Monday
        ("2026-11-23T09:00:00", True),
        ("2026-11-23T17:29:59", True),
        ("2026-11-23T17:30:00", False),
        ("2026-11-22T12:00:00", False),  # Sunday
        ("2026-12-25T12:00:00", False),  # a Friday, closed
        ("2026-12-26T11:00:00", True),  # a Saturday, open
        ("2026-12-26T12:00:00", False),
    ],
)
def test_office_hours(local: str, expected: bool) -> None:
    assert open_at(OFFICE, local) is expected


def test_the_time_zone_is_that_of_the_place_and_not_of_the_caller() -> None:
    assert is_open(OFFICE, datetime(2026, 7, 6, 7, 0, tzinfo=UTC))  # 09:00 there, in summer
    assert not is_open(OFFICE, datetime(2026, 1, 5, 7, 0, tzinfo=UTC))  # 08:00, in winter
    assert is_open(OFFICE, datetime.fromisoformat("2026-07-06T00:30:00-07:00"))


def test_hours_over_midnight_belong_to_the_day_on_which_they_begin() -> None:
    bar = Opening(timezone="UTC", weekly={Weekday.FRIDAY: (Span(begins="20:00", ends="02:00"),)})
    assert open_at(bar, "2026-11-27T23:59:00")  # Friday
    assert open_at(bar, "2026-11-28T01:59:00")
    assert not open_at(bar, "2026-11-28T02:00:00")
    assert not open_at(bar, "2026-11-27T01:00:00")
    closed = bar.model_copy(update={"exceptions": (Exceptional(day=date(2026, 11, 27)),)})
    assert not open_at(closed, "2026-11-28T01:00:00")


def test_a_whole_day_and_no_day() -> None:
    always = Opening(
        timezone="Asia/Kathmandu", weekly={day: (Span(begins="00:00", ends="24:00"),) for day in Weekday}
    )
    never = Opening(timezone="Asia/Kathmandu")
    for hours in range(24 * 8):
        at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hours, minutes=hours % 60)
        assert is_open(always, at)
        assert not is_open(never, at)


@pytest.mark.parametrize(
    ("day", "minutes"),
    [
        (date(2026, 3, 29), 3 * 60),  # 02:00 to 03:00 never comes
        (date(2026, 10, 25), 5 * 60),  # and here it comes twice
        (date(2026, 6, 1), 4 * 60),
    ],
)
def test_the_night_on_which_the_clock_is_moved(day: date, minutes: int) -> None:
    opening = Opening(
        timezone="Europe/Berlin", weekly={each: (Span(begins="00:00", ends="04:00"),) for each in Weekday}
    )
    begin = datetime.combine(day, datetime.min.time(), ZoneInfo("Europe/Berlin")).astimezone(UTC)
    times = (begin + timedelta(minutes=minute) for minute in range(12 * 60))
    assert sum(is_open(opening, at) for at in times) == minutes


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59)) | st.just("24:00")


@st.composite
def openings(draw: st.DrawFn) -> Opening:
    span = st.tuples(TIMES, TIMES).filter(lambda pair: pair[0] != pair[1] and pair[0] != "24:00")
    spans = st.lists(span.map(lambda pair: Span(begins=pair[0], ends=pair[1])), max_size=3).map(tuple)
    days = draw(st.dictionaries(st.sampled_from(list(Weekday)), spans, max_size=7))
    exceptions = draw(st.dictionaries(st.dates(date(2026, 3, 20), date(2026, 4, 10)), spans, max_size=4))
    return Opening(
        timezone=draw(ZONES),
        weekly=days,
        exceptions=tuple(Exceptional(day=day, hours=hours) for day, hours in exceptions.items()),
    )


@given(openings(), st.integers(0, 30 * 24 * 60))
def test_it_is_open_as_the_clock_on_the_wall_says(opening: Opening, minute: int) -> None:
    """The same by another way: the spans of three days as wall times without a zone."""
    at = datetime(2026, 3, 15, tzinfo=UTC) + timedelta(minutes=minute)
    wall = at.astimezone(ZoneInfo(opening.timezone)).replace(tzinfo=None)
    spans = []
    for day in (wall.date() - timedelta(days=1), wall.date(), wall.date() + timedelta(days=1)):
        for span in opening.spans(day):
            midnight = datetime.combine(day, datetime.min.time())
            begins = midnight + timedelta(hours=int(span.begins[:2]), minutes=int(span.begins[3:]))
            ends = midnight + timedelta(hours=int(span.ends[:2]), minutes=int(span.ends[3:]))
            spans.append((begins, ends if ends > begins else ends + timedelta(days=1)))
    assert is_open(opening, at) == any(begins <= wall < ends for begins, ends in spans)


@given(openings())
def test_hours_are_the_same_after_they_were_stored(opening: Opening) -> None:
    assert Opening.model_validate(opening.model_dump(mode="json")) == opening


@pytest.mark.parametrize(
    ("closed", "expected"),
    [
        ({"then": "hang_up", "say": "Closed."}, HangUp(say="Closed.")),
        ({"say": "Closed."}, HangUp(say="Closed.")),
        ({"then": "transfer", "number": "+4930123456"}, Transfer(then="transfer", number="+4930123456")),
        ({"then": "agent", "agent": "night"}, OtherAgent(then="agent", agent="night")),
    ],
)
def test_what_happens_when_closed(closed: dict[str, Any], expected: object) -> None:
    assert Opening.model_validate({"timezone": "UTC", "closed": closed}).closed == expected


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"timezone": "Europe/Atlantis"}, "IANA"),
        ({"timezone": "../../etc/passwd"}, "IANA"),
        ({"timezone": "UTC", "weekly": {"monday": [{"begins": "25:00", "ends": "26:00"}]}}, "08:30"),
        ({"timezone": "UTC", "weekly": {"monday": [{"begins": "09:00", "ends": "09:00"}]}}, "last some time"),
        ({"timezone": "UTC", "weekly": {"moonday": []}}, "monday"),
        ({"timezone": "UTC", "exceptions": [{"day": "2026-01-01"}] * 2}, "one exception"),
        ({"timezone": "UTC", "closed": {"then": "transfer", "number": "110"}}, "match pattern"),
        ({"timezone": "UTC", "closed": {"then": "transfer", "number": "+999123456789"}}, "E.164"),
        ({"timezone": "UTC", "closed": {"then": "transfer", "number": "+4930123456789012"}}, "pattern"),
        ({"timezone": "UTC", "closed": {"then": "transfer", "number": "+1555123"}}, "too short"),
    ],
)
def test_wrong_hours_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Opening.model_validate(wrong)


NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SAID = HangUp(say="Closed.")
ELSEWHERE = Transfer(then="transfer", number="+4930123456")
NIGHT = OtherAgent(then="agent", agent="night")


@pytest.mark.parametrize(
    ("able", "closed", "expected"),
    [
        ({"desk", "night"}, None, Answerer("desk")),
        ({"night"}, None, Answerer("usual")),
        ({"desk", "night"}, SAID, Answerer("desk", open=False, closed=SAID)),
        (set(), SAID, Answerer("usual", open=False, closed=SAID)),
        ({"desk"}, ELSEWHERE, Answerer("desk", open=False, closed=ELSEWHERE)),
        ({"desk", "night"}, NIGHT, Answerer("night", open=False)),
        ({"desk"}, NIGHT, Answerer("desk", open=False)),
        (set(), NIGHT, Answerer("usual", open=False)),
    ],
)
def test_who_answers_where_an_agent_cannot(able: set[str], closed: Closed | None, expected: Answerer) -> None:
    opening = None if closed is None else Opening(timezone="UTC", closed=closed)
    assert who_answers("desk", opening, NOW, able.__contains__, "usual") == expected
    if opening is not None:  # a call of ours is not turned away by hours
        assert who_answers("desk", opening, None, able.__contains__, "usual") == Answerer(
            "desk" if "desk" in able else "usual"
        )
