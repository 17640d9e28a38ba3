"""The words that a language says for signs, where its number rules do not know them. Pure.

Complete for English, German, Spanish and French. Any other language has none: it says its numbers, units
and dates by CLDR and leaves other signs to the speech engine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Money:
    """A currency: one and many of it, one and many of its hundredths."""

    one: str
    many: str
    cent: str = ""
    cents: str = ""
    feminine: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """One language's words. An empty one leaves the sign as it is.

    ``feminine_nouns`` and ``not_nouns`` say what may follow a number that ends in one, which agrees with
    it; ``feminine_units`` are CLDR's units.
    """

    point: str = ""
    dot: str = ""
    at: str = ""
    slash: str = ""
    dash: str = ""
    underscore: str = ""
    plus: str = ""
    minus: str = ""
    equals: str = ""
    ampersand: str = ""
    number: str = ""
    to: str = ""
    between_cents: str = " "
    says_cents: bool = True
    money: Mapping[str, Money] = field(default_factory=dict)
    fractions: Mapping[str, str] = field(default_factory=dict)
    scales: str = ""  # a pattern: words for thousands and millions, which may follow an amount
    of_money: str = " "  # between a scale and its currency
    feminine_units: frozenset[str] = frozenset()
    feminine_nouns: re.Pattern[str] | None = None
    not_nouns: re.Pattern[str] | None = None
    years: bool = False  # numbers from 1100 to 2099 are said as years are


_ENGLISH = Words(
    point="point", dot="dot", at="at", slash="slash", dash="dash", underscore="underscore", plus="plus",
    minus="minus", equals="equals", ampersand="and", number="number", to="to", between_cents=" and ",
    money={
        "USD": Money("dollar", "dollars", "cent", "cents"),
        "CAD": Money("Canadian dollar", "Canadian dollars", "cent", "cents"),
        "AUD": Money("Australian dollar", "Australian dollars", "cent", "cents"),
        "EUR": Money("euro", "euros", "cent", "cents"),
        "GBP": Money("pound", "pounds", "penny", "pence"),
        "INR": Money("rupee", "rupees", "paisa", "paise"),
        "JPY": Money("yen", "yen"),
    },
    fractions={"1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter",
               "3/4": "three quarters", "24/7": "twenty-four seven"},
    scales=r"thousand|million|billion|trillion",
    years=True,
)  # fmt: skip
_GERMAN = Words(
    point="Komma", dot="Punkt", at="ät", slash="Schrägstrich", dash="Bindestrich", underscore="Unterstrich",
    plus="plus", minus="minus", equals="gleich", ampersand="und", number="Nummer", to="bis", says_cents=False,
    money={
        "USD": Money("Dollar", "Dollar", "Cent", "Cent"),
        "EUR": Money("Euro", "Euro", "Cent", "Cent"),
        "GBP": Money("Pfund", "Pfund", "Penny", "Pence"),
        "CHF": Money("Franken", "Franken", "Rappen", "Rappen"),
    },
    fractions={"1/2": "ein halb", "1/3": "ein Drittel", "2/3": "zwei Drittel", "1/4": "ein Viertel",
               "3/4": "drei Viertel"},
    scales=r"Tausend|Millionen|Million|Milliarden|Milliarde",
    feminine_units=frozenset(
        {"duration-hour", "duration-minute", "duration-second", "mass-tonne", "length-mile"}
    ),
    feminine_nouns=re.compile(r".*(?:ung|heit|keit|schaft|ion|tät|e|Person|Nummer)$"),
    not_nouns=re.compile(r"[^A-ZÄÖÜ].*"),
    years=True,
)  # fmt: skip
_SPANISH = Words(
    point="coma", dot="punto", at="arroba", slash="barra", dash="guion", underscore="guion bajo", plus="más",
    minus="menos", equals="igual a", ampersand="y", number="número", to="a", between_cents=" con ",
    money={
        "USD": Money("dólar", "dólares", "centavo", "centavos"),
        "EUR": Money("euro", "euros", "céntimo", "céntimos"),
        "GBP": Money("libra", "libras", "penique", "peniques", feminine=True),
        "MXN": Money("peso", "pesos", "centavo", "centavos"),
    },
    fractions={"1/2": "un medio", "1/3": "un tercio", "2/3": "dos tercios", "1/4": "un cuarto",
               "3/4": "tres cuartos"},
    scales=r"mil millones|mil|millones|millón",
    of_money=" de ",
    feminine_units=frozenset(
        {"duration-hour", "mass-tonne", "mass-pound", "mass-ounce", "length-mile", "length-inch"}
    ),
    feminine_nouns=re.compile(r".+(?:as?|ión|iones|dad|dades)$"),
    not_nouns=re.compile(r"(?:y|o|u|a|de|del|en|es|por|con|para|que|al|hasta)"),
)  # fmt: skip
_FRENCH = Words(
    point="virgule", dot="point", at="arobase", slash="barre oblique", dash="tiret", underscore="tiret bas",
    plus="plus", minus="moins", equals="égale", ampersand="et", number="numéro", to="à", says_cents=False,
    money={
        "USD": Money("dollar", "dollars", "cent", "cents"),
        "CAD": Money("dollar canadien", "dollars canadiens", "cent", "cents"),
        "EUR": Money("euro", "euros", "centime", "centimes"),
        "GBP": Money("livre", "livres", "penny", "pence", feminine=True),
        "CHF": Money("franc", "francs", "centime", "centimes"),
    },
    fractions={"1/2": "un demi", "1/3": "un tiers", "2/3": "deux tiers", "1/4": "un quart",
               "3/4": "trois quarts"},
    scales=r"mille|millions?|milliards?",
    of_money=" de ",
    feminine_units=frozenset(
        {"duration-hour", "duration-minute", "duration-second", "mass-tonne", "mass-pound", "mass-ounce"}
    ),
    feminine_nouns=re.compile(
        r".+(?:tion|sion|ette|ure|té|ée|esse|ance|ence|ille)s?|(?:heure|minute|seconde|semaine|lettre|personne)s?"
    ),
)  # fmt: skip

_NONE = Words()
_BY_LANGUAGE = {"en": _ENGLISH, "de": _GERMAN, "es": _SPANISH, "fr": _FRENCH}


def words_of(language: str) -> Words:
    """The words of a language by its two or three letters; none for a language that has none here."""
    return _BY_LANGUAGE.get(language, _NONE)
