"""One language's numbers, units, currencies and dates in words, by CLDR. Pure but for reading CLDR's rules.

Numbers are spelt by unicode-rbnf (CLDR's rule-based number formats), units, currencies and months by Babel.
The first use of a language reads its rules, which takes 15 ms once a process; after that a number takes
30 us the first time and is remembered.
"""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_decimal, get_currency_name
from babel.units import UnknownUnitError, format_unit
from unicode_rbnf import RbnfEngine
from unicode_rbnf.engine import NoRuleForNumberError

from app.voice.speakable.words import Words, words_of

_REMEMBERED = 4096  # numbers in words, of all languages
_MOST = 10**15  # larger numbers are not spelt
_FEMININE, _MASCULINE = ("spellout-cardinal-feminine",), ("spellout-cardinal-masculine",)
_NEUTRAL = ("spellout-numbering", "spellout-cardinal", "spellout-cardinal-masculine")
_SPACES = " \u00a0\u202f"
_SPACE = re.compile("[\u00a0\u202f]")


class Speller:
    """Numbers of one language. ``number`` is a pattern of how it writes them, without a sign."""

    def __init__(self, locale: Locale, engine: RbnfEngine) -> None:
        self.language: str = locale.language
        self.words: Words = words_of(locale.language)
        self.locale = locale
        self._engine = engine
        symbols = locale.number_symbols.get("latn", {})
        group = symbols.get("group", ",")
        self._decimal = symbols.get("decimal", ".")
        groups = _SPACES if group in _SPACES else group
        decimal = re.escape(self._decimal)
        loose = r"|[0-9]+\.[0-9]{1,2}(?![0-9])" if self._decimal == "," else ""
        self._groups = re.compile(f"[{re.escape(groups)}](?=[0-9]{{3}}(?![0-9]))")
        self.number = (
            rf"(?:[0-9]{{1,3}}(?:[{re.escape(groups)}][0-9]{{3}})+(?![0-9])(?:{decimal}[0-9]+)?"
            rf"|[0-9]+(?:{decimal}[0-9]+)?{loose})"
        )

    def cardinal(self, number: int, *, feminine: bool = False, counting: bool = False) -> str:
        """The number in words; ``counting``: before the noun that it counts."""
        if number >= _MOST:
            return str(number)
        names = _FEMININE if feminine else _MASCULINE if counting else ()
        return _spelt(self._engine, number, (*names, *_NEUTRAL))

    def ordinal(self, number: int, *, form: str = "") -> str:
        """The ordinal in words; ``form`` is the end of the name of CLDR's rule: ``-feminine``, ``-n``."""
        rules = (f"spellout-ordinal{form}", "spellout-ordinal-masculine", "spellout-ordinal")
        return _spelt(self._engine, number, rules)

    def year(self, number: int) -> str:
        """The number as a year is said."""
        if not self.words.years:
            return self.cardinal(number)
        return _spelt(self._engine, number, ("spellout-numbering-year", *_NEUTRAL))

    def value(self, written: str) -> Decimal:
        """The value of what ``number`` matched."""
        joined = self._groups.sub("", written) if self._decimal not in written else written
        whole, mark, rest = joined.partition(self._decimal)
        return Decimal(self._groups.sub("", whole) + ("." + rest if mark else ""))

    def amount(self, written: str, *, feminine: bool = False, counting: bool = False) -> str:
        """What ``number`` matched in words: ``two point five zero``."""
        value = self.value(written)
        whole = int(value)
        if value >= _MOST:
            return written
        fraction = f"{value:f}".partition(".")[2]
        if not fraction:
            return self.cardinal(whole, feminine=feminine, counting=counting)
        digits = " ".join(self.cardinal(int(digit)) for digit in fraction)
        point = self.words.point
        if self._decimal == "." and self.language == "es":
            point = self.words.dot
        return f"{self.cardinal(whole)} {point or self._decimal} {digits}"

    def unit(self, written: str, unit: str) -> str:
        """An amount with CLDR's name of a unit: ``five kilograms``."""
        return _unit(self, written, unit)

    def currency(self, code: str, value: Decimal) -> str:
        """CLDR's name of so much of a currency."""
        return get_currency_name(code, value, self.locale)

    def date(self, date: datetime.date) -> str:
        """The date as CLDR's long form, in figures and with the month's name."""
        return format_date(date, "long", self.locale)

    def month(self, number: int) -> str:
        """The name of a month, 1 to 12."""
        return str(self.locale.months["format"]["wide"][number])


@lru_cache(maxsize=64)
def speller_of(tag: str) -> Speller | None:
    """The speller of a BCP 47 tag's language; None for one whose numbers are not known."""
    parts = tag.replace("-", "_").split("_")
    for name in ("_".join(parts), "_".join(parts[:2]), parts[0]):
        try:
            locale = Locale.parse(name)
        except (ValueError, TypeError, UnknownLocaleError):
            continue
        if (engine := _engine(locale)) is not None:
            return Speller(locale, engine)
    return None


def _engine(locale: Locale) -> RbnfEngine | None:
    known = RbnfEngine.get_supported_languages()
    for name in (f"{locale.language}_{locale.territory}", locale.language):
        if name in known:
            return RbnfEngine.for_language(name)
    return None


@lru_cache(maxsize=_REMEMBERED)
def _spelt(engine: RbnfEngine, number: int, rules: tuple[str, ...]) -> str:
    """The number by the first of the rules that the language has; in figures where it has none."""
    for rule in rules:
        try:
            return str(engine.format_number(number, ruleset_names=[rule]).text)
        except (NoRuleForNumberError, KeyError, ValueError):
            continue
    return str(number)


@lru_cache(maxsize=_REMEMBERED)
def _unit(speller: Speller, written: str, unit: str) -> str:
    value = speller.value(written)
    feminine = unit in speller.words.feminine_units
    spelt = speller.amount(written, feminine=feminine, counting=True)
    try:
        phrase = format_unit(value, unit, "long", locale=speller.locale)
    except UnknownUnitError:
        return spelt
    return _SPACE.sub(" ", phrase.replace(format_decimal(value, locale=speller.locale), spelt, 1))
