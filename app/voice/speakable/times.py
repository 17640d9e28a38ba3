"""Dates and times of day in words. Pure."""

from __future__ import annotations

import datetime
import re

from app.voice.speakable.rule import Rule, said
from app.voice.speakable.speller import Speller
from app.voice.speakable.spoken import Edit

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_MONTH = (
    "(?:" + "|".join(name if len(name) < 5 else rf"{name[:3]}(?:{name[3:]}|t?\.?)" for name in _MONTHS) + ")"
)
_DAY = r"(?:[12][0-9]|3[01]|0?[1-9])"
_CLOCK = r"(?:2[0-4]|[01]?[0-9])"
_HOUR = rf"(?<![\w.,:])(?P<hours_hour>{_CLOCK})"
_MINUTE = r":(?P<hours_minute>[0-5][0-9])(?::[0-5][0-9])?(?![\w:])"
_DATIVE = re.compile(
    r"\b(?:am|vom|zum|im|dem|den|des|beim|bis|ab|seit|nach|vor|einem|einen|unserem|ihrem) $", re.IGNORECASE
)
_NOMINATIVE = re.compile(r"\b(?:der|die|das) $", re.IGNORECASE)


def rules(speller: Speller) -> list[Rule]:
    """The rules of the speller's language."""
    iso = (
        r"(?<![\w.-])(?P<iso_date>[12][0-9]{3}-[01][0-9]-[0-3][0-9])"
        r"(?:T(?P<iso_hour>[0-2][0-9]):(?P<iso_minute>[0-5][0-9])(?::[0-5][0-9](?:\.[0-9]+)?)?"
        r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?(?![\w-])"
    )
    numeric = (
        r"(?<![\w./])(?P<numeric_first>[0-3]?[0-9])(?P<numeric_sign>[./])(?P<numeric_second>[0-3]?[0-9])"
        r"(?P=numeric_sign)(?P<numeric_year>[12][0-9]{3})(?![\w/]|\.[0-9])"
    )
    found = [Rule("iso", iso, _iso), Rule("numeric", numeric, _numeric)]
    match speller.language:
        case "en":
            return found + _english_rules()
        case "de":
            return found + _german_rules()
        case "fr":
            hours = rf"{_HOUR}(?: ?h ?(?P<hours_minute>[0-5][0-9])?|:(?P<hours_colon>[0-5][0-9]))(?![\w:])"
            return [*found, Rule("hours", hours, _french)]
    return [*found, Rule("hours", _HOUR + _MINUTE, _plain)]


def _english_rules() -> list[Rule]:
    month = (
        rf"\b(?P<month_name>{_MONTH}) (?P<month_day>{_DAY})(?:st|nd|rd|th)?(?![\w:/]|[.,][0-9])"
        r"(?:,? (?P<month_year>[12][0-9]{3})(?!\w|[.,][0-9]))?"
    )
    half = (
        rf"(?<![\w.,:])(?P<clock_hour>{_CLOCK})(?::(?P<clock_minute>[0-5][0-9])(?::[0-5][0-9])?(?![\w:]))?"
        r"(?P<clock_space> ?)(?P<clock_half>[aApP]\.?[mM](?:\.(?<=\.[mM]\.))?)(?!\w)"
    )
    return [
        Rule("month", month, _month_first),
        Rule("day", rf"(?<![\w.,:/])(?P<day_day>{_DAY}) (?P<day_name>{_MONTH})(?!\w)", _day_first),
        Rule("clock", half, _english_half),
        Rule("hours", _HOUR + _MINUTE, _plain),
    ]


def _german_rules() -> list[Rule]:
    ordinal = r"(?<![\w.,:/])(?P<ordinal_number>[0-9]{1,3})\.(?= (?P<ordinal_next>[^\W\d_]+))"
    hours = rf"{_HOUR}(?:{_MINUTE}(?: Uhr\b)?|(?:\.(?P<hours_dotted>[0-5][0-9]))? Uhr\b)"
    return [Rule("ordinal", ordinal, _german_ordinal), Rule("hours", hours, _german)]


def _iso(match: re.Match[str], speller: Speller) -> list[Edit]:
    year, month, day = map(int, match["iso_date"].split("-"))
    date = _date(year, month, day, speller, match.string[: match.start()])
    if date is None:
        return []
    if match["iso_hour"] is None:
        return said(match, date)
    hour, minute = int(match["iso_hour"]), match["iso_minute"]
    return said(match, f"{date}, {_time(hour, minute, speller)}")


def _numeric(match: re.Match[str], speller: Speller) -> list[Edit]:
    day, month = int(match["numeric_first"]), int(match["numeric_second"])
    if speller.language == "en" and speller.locale.territory in {None, "US"} and match["numeric_sign"] == "/":
        day, month = month, day
    date = _date(int(match["numeric_year"]), month, day, speller, match.string[: match.start()])
    return said(match, date) if date is not None else []


def _date(year: int, month: int, day: int, speller: Speller, before: str) -> str | None:
    """The date in words; None for one that does not exist."""
    try:
        date = datetime.date(year, month, day)
    except ValueError:
        return None
    if speller.language == "en":
        name, of_year = speller.month(month), speller.year(year)
        if speller.locale.territory in {None, "US"}:
            return f"{name} {speller.ordinal(day)}, {of_year}"
        return f"the {speller.ordinal(day)} of {name} {of_year}"
    if speller.language == "de":
        return f"{_german_day(day, speller, before)} {speller.month(month)} {speller.year(year)}"

    def spelt(figures: re.Match[str]) -> str:
        number = int(figures[0])
        if speller.language == "fr" and number == day == 1:
            return speller.ordinal(1, form="-masculine")
        return speller.year(number) if number == year else speller.cardinal(number)

    return re.sub(r"[0-9]+", spelt, speller.date(date))


def _month_first(match: re.Match[str], speller: Speller) -> list[Edit]:
    begin, end = match.span("month_name")
    day_begin, day_end = match.start("month_day"), match.end()
    edits = [Edit(begin, end, _full_month(match["month_name"]))] if match["month_name"] not in _MONTHS else []
    if match["month_year"] is not None:
        day_end = match.start("month_year")
        day_end -= 1 + (match.string[day_end - 2] == ",")
    edits.append(Edit(day_begin, day_end, speller.ordinal(int(match["month_day"]))))
    if match["month_year"] is not None:
        edits.append(Edit(*match.span("month_year"), speller.year(int(match["month_year"]))))
    return edits


def _day_first(match: re.Match[str], speller: Speller) -> list[Edit]:
    article = "" if match.string[: match.start()].lower().endswith("the ") else "the "
    edits = [Edit(*match.span("day_day"), f"{article}{speller.ordinal(int(match['day_day']))} of")]
    if match["day_name"] not in _MONTHS:
        edits.append(Edit(*match.span("day_name"), _full_month(match["day_name"])))
    return edits


def _full_month(name: str) -> str:
    return next(month for month in _MONTHS if month.startswith(name[:3]))


# Times of day


def _time(hour: int, minute: str, speller: Speller) -> str:
    match speller.language:
        case "en":
            return _english(hour, minute, speller)
        case "de":
            return _german_time(hour, minute, speller)
        case "fr":
            return _french_time(hour, minute, speller)
    return _plain_time(hour, minute, speller)


def _english(hour: int, minute: str, speller: Speller) -> str:
    if minute == "00":
        return f"{speller.cardinal(hour)} o'clock" if hour <= 12 else f"{speller.cardinal(hour)} hundred"
    return f"{speller.cardinal(hour)} {_english_minute(minute, speller)}"


def _english_minute(minute: str, speller: Speller) -> str:
    return ("oh " if minute[0] == "0" else "") + speller.cardinal(int(minute))


def _english_half(match: re.Match[str], speller: Speller) -> list[Edit]:
    minute = match["clock_minute"]
    words = speller.cardinal(int(match["clock_hour"]))
    if minute not in {None, "00"}:
        words += " " + _english_minute(minute, speller)
    half = match["clock_half"]
    edits = [Edit(match.start(), match.end("clock_space"), words + " ")]
    if "." not in half:
        stop = "" if match.string[match.end() : match.end() + 1] == "." else "."
        edits.append(Edit(*match.span("clock_half"), f"{half[0].lower()}.m{stop}"))
    return edits


def _german(match: re.Match[str], speller: Speller) -> list[Edit]:
    minute = match["hours_minute"] or match["hours_dotted"] or "00"
    return said(match, _german_time(int(match["hours_hour"]), minute, speller))


def _german_time(hour: int, minute: str, speller: Speller) -> str:
    words = f"{speller.cardinal(hour, counting=True)} Uhr"
    return words if minute == "00" else f"{words} {speller.cardinal(int(minute))}"


def _french(match: re.Match[str], speller: Speller) -> list[Edit]:
    minute = match["hours_minute"] or match["hours_colon"] or "00"
    return said(match, _french_time(int(match["hours_hour"]), minute, speller))


def _french_time(hour: int, minute: str, speller: Speller) -> str:
    words = f"{speller.cardinal(hour, feminine=True)} {'heure' if hour < 2 else 'heures'}"
    return words if minute == "00" else f"{words} {speller.cardinal(int(minute))}"


def _plain(match: re.Match[str], speller: Speller) -> list[Edit]:
    return said(match, _time(int(match["hours_hour"]), match["hours_minute"], speller))


def _plain_time(hour: int, minute: str, speller: Speller) -> str:
    feminine = speller.language == "es"
    words = speller.cardinal(hour, feminine=feminine)
    if minute == "00":
        return words
    return f"{words} {'y ' if feminine else ''}{speller.cardinal(int(minute))}"


# German ordinals


def _german_ordinal(match: re.Match[str], speller: Speller) -> list[Edit]:
    before = match.string[: match.start()]
    following = match["ordinal_next"]
    months = {speller.month(number) for number in range(1, 13)}
    agrees = _DATIVE.search(before) or _NOMINATIVE.search(before)
    if not (agrees or following in months or (following.islower() and before.strip())):
        return [Edit(*match.span("ordinal_number"), speller.cardinal(int(match["ordinal_number"])))]
    return said(match, _german_day(int(match["ordinal_number"]), speller, before))


def _german_day(number: int, speller: Speller, before: str) -> str:
    form = "-n" if _DATIVE.search(before) else "" if _NOMINATIVE.search(before) else "-r"
    return speller.ordinal(number, form=form)
