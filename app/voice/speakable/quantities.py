"""Money, measures, ordinals, ranges and plain numbers in words. Pure."""

from __future__ import annotations

import re
from decimal import Decimal

from app.voice.speakable.rule import Rewrite, Rule, said
from app.voice.speakable.speller import Speller
from app.voice.speakable.spoken import Edit
from app.voice.speakable.words import Money

_SYMBOLS = {"US$": "USD", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR"}
_CODES = "EUR|USD|GBP|CHF|JPY|INR|CAD|AUD|CNY|SEK|NOK|DKK|PLN|MXN|BRL"
_UNITS = {
    "kg": "mass-kilogram", "g": "mass-gram", "mg": "mass-milligram", "t": "mass-tonne",
    "lb": "mass-pound", "lbs": "mass-pound", "oz": "mass-ounce",
    "km": "length-kilometer", "m": "length-meter", "cm": "length-centimeter", "mm": "length-millimeter",
    "mi": "length-mile", "ft": "length-foot",
    "m²": "area-square-meter", "m2": "area-square-meter", "km²": "area-square-kilometer",
    "m³": "volume-cubic-meter", "m3": "volume-cubic-meter",
    "l": "volume-liter", "L": "volume-liter", "ml": "volume-milliliter",
    "km/h": "speed-kilometer-per-hour", "mph": "speed-mile-per-hour", "m/s": "speed-meter-per-second",
    "°C": "temperature-celsius", "°F": "temperature-fahrenheit", "°": "angle-degree", "%": "concentr-percent",
    "kWh": "energy-kilowatt-hour", "kW": "power-kilowatt", "W": "power-watt", "V": "electric-volt",
    "KB": "digital-kilobyte", "MB": "digital-megabyte", "GB": "digital-gigabyte", "TB": "digital-terabyte",
    "h": "duration-hour", "min": "duration-minute", "s": "duration-second", "ms": "duration-millisecond",
}  # fmt: skip
_UNIT = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
_FRACTIONS = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4"}
_ORDINALS = {
    "en": r"st|nd|rd|th",
    "es": r"\.?[ºª]|er",
    "fr": r"ers?|ères?|res?|èmes?|e|nde?|ᵉ|ᵉʳ",
    "it": r"[º°ª]",
    "pt": r"\.?[ºª]",
}
_MINUS = "(?:(?<![\\w)\\]%€.,])[-−])?"
_BEGINS = r"(?<![\w.,])"
_ENDS = r"(?![^\W½⅓⅔¼¾]|[.,][0-9])"


def rules(speller: Speller) -> list[Rule]:
    """The rules of the speller's language."""
    found = [Rule("decade", rf"{_BEGINS}(?P<decade_year>[12][0-9][0-9]0)s\b", _decade)]
    found += _money_rules(speller)
    found.append(
        Rule(
            "unit",
            rf"{_BEGINS}(?P<unit_minus>{_MINUS})(?P<unit_number>{speller.number})[ \u00a0\u202f]?"
            rf"(?P<unit_unit>{_UNIT})(?!\w|/\w)",
            _unit,
        )
    )
    if speller.language in _ORDINALS:
        ends = _ORDINALS[speller.language]
        place = rf"{_BEGINS}(?P<place_number>[0-9]{{1,6}})(?P<place_end>{ends})(?!\w)"
        found.append(Rule("place", place, _place))
    if speller.words.fractions:
        found.append(Rule("fraction", r"[½⅓⅔¼¾]|(?<![\w./])[0-9]{1,2}/[0-9]{1,2}(?![\w/])", _fraction))
    number = (
        rf"(?P<number_minus>{_MINUS}){_BEGINS}(?P<number_number>{speller.number}){_ENDS}(?! ?/[0-9])"
        r"(?: (?P<number_noun>[^\W\d_]+))?"
    )
    version = rf"{_BEGINS}[0-9]{{1,6}}(?:\.[0-9]{{1,6}}){{2,}}{_ENDS}"
    return [
        *found,
        Rule("number", number, _number),
        Rule("version", version, _version),
        *_sign_rules(speller),
    ]


def _money_rules(speller: Speller) -> list[Rule]:
    number, scales = speller.number, speller.words.scales or "(?!)"
    codes = rf"US\$|[$€£¥₹]|(?:{_CODES})(?![^\W\d_])"
    prefix = (
        rf"(?P<prefix_minus>{_MINUS})(?<!\w)(?P<prefix_code>{codes}) ?(?P<prefix_number>{number}){_ENDS}"
        rf"(?: (?P<prefix_scale>{scales})\b)?"
    )
    suffix = (
        rf"(?P<suffix_minus>{_MINUS}){_BEGINS}(?P<suffix_number>{number})(?: (?P<suffix_scale>{scales})\b)?"
        rf"[ \u00a0\u202f]?(?P<suffix_code>{codes})"
    )
    return [Rule("prefix", prefix, _money), Rule("suffix", suffix, _money)]


def _sign_rules(speller: Speller) -> list[Rule]:
    words = speller.words
    signs = [
        ("range", r"(?:(?<=[0-9%€$°])|(?<=[0-9][ap]m)|(?<=[ap]\.m\.)) ?[-–—] ?(?=[$€£]?[0-9])", words.to),
        ("hash", r"(?<![\w#&])#(?=[0-9])", words.number),
        ("ampersand", r"(?<=\s)&(?=\s)", words.ampersand),
        ("sum", r"(?<=[0-9]) ?\+ ?(?=[0-9])", words.plus),
        ("equals", r"(?<=\s)=(?=\s)", words.equals),
        ("over", r"(?<=[0-9])/(?=[0-9])", words.slash),
    ]
    return [Rule(name, pattern, _sign(word)) for name, pattern, word in signs if word]


def _sign(word: str) -> Rewrite:
    def rewrite(match: re.Match[str], speller: Speller) -> list[Edit]:
        before = "" if match.start() == 0 or match.string[match.start() - 1].isspace() else " "
        after = "" if match.string[match.end() : match.end() + 1].isspace() else " "
        return said(match, before + word + after)

    return rewrite


def _money(match: re.Match[str], speller: Speller) -> list[Edit]:
    kind = match.lastgroup  # the rule's name
    written, code = match[f"{kind}_number"], match[f"{kind}_code"]
    amount = _amount_of(written, match[f"{kind}_scale"], _SYMBOLS.get(code, code), speller)
    minus = f"{speller.words.minus} " if match[f"{kind}_minus"] else ""
    return said(match, (minus + amount).lstrip())


def _amount_of(written: str, scale: str | None, code: str, speller: Speller) -> str:
    """So much of a currency; ``scale`` is the word for thousands or millions after the number."""
    value = speller.value(written)
    money = speller.words.money.get(code)
    if scale is not None:
        many = money.many if money is not None else speller.currency(code, Decimal(10))
        of_money = " " if scale in {"mil", "mille"} else speller.words.of_money
        return f"{speller.amount(written, counting=True)} {scale}{of_money}{many}"
    if money is None:
        return f"{speller.amount(written, counting=True)} {speller.currency(code, value)}"
    return _so_much(value, written, money, speller)


def _so_much(value: Decimal, written: str, money: Money, speller: Speller) -> str:
    whole, cents = int(value), (value * 100) % 100
    if cents != int(cents) or (cents and not money.cent):
        return f"{speller.amount(written)} {money.many}"
    name = money.one if whole == 1 else money.many
    big = f"{speller.cardinal(whole, feminine=money.feminine, counting=True)} {name}"
    if not cents:
        return big
    small = speller.cardinal(int(cents), counting=speller.words.says_cents or not whole)
    if not whole:
        return f"{small} {money.cent if cents == 1 else money.cents}"
    if not speller.words.says_cents:
        return f"{big} {small}"
    return f"{big}{speller.words.between_cents}{small} {money.cent if cents == 1 else money.cents}"


def _unit(match: re.Match[str], speller: Speller) -> list[Edit]:
    minus = speller.words.minus
    if match["unit_minus"] and not minus:
        return []
    words = speller.unit(match["unit_number"], _UNITS[match["unit_unit"]])
    return said(match, f"{minus} {words}" if match["unit_minus"] else words)


def _place(match: re.Match[str], speller: Speller) -> list[Edit]:
    end = match["place_end"].removeprefix(".")
    feminine = end in {"ª", "ère", "ères", "re", "res", "nde"}
    form = "-feminine" if feminine else "-masculine-adjective" if end == "er" else "-masculine"
    return said(match, speller.ordinal(int(match["place_number"]), form=form))


def _decade(match: re.Match[str], speller: Speller) -> list[Edit]:
    if speller.language != "en":
        return []
    year = speller.year(int(match["decade_year"]))
    return said(match, f"{year[:-1]}ies" if year.endswith("y") else f"{year}s")


def _fraction(match: re.Match[str], speller: Speller) -> list[Edit]:
    words = speller.words.fractions.get(_FRACTIONS.get(match[0], match[0]), "")
    if not words:
        first, second = (speller.cardinal(int(part)) for part in match[0].split("/"))
        return said(match, f"{first} {speller.words.slash} {second}")
    joined = match.start() > 0 and match.string[match.start() - 1].isdigit()
    return said(match, f" {speller.words.ampersand} {words}" if joined else words)


def _number(match: re.Match[str], speller: Speller) -> list[Edit]:
    written, words = match["number_number"], speller.words
    if match["number_minus"] and not words.minus:
        return []
    begin, end = match.span("number_number")
    if written.isdigit() and len(written) == 4 and 1100 <= int(written) < 2100:
        spelt = speller.year(int(written))
    else:
        noun = match["number_noun"] or ""
        counts = (
            bool(noun) and not (words.not_nouns and words.not_nouns.fullmatch(noun)) and written[-1] == "1"
        )
        feminine = counts and words.feminine_nouns is not None and bool(words.feminine_nouns.fullmatch(noun))
        spelt = speller.amount(written, feminine=feminine, counting=counts)
    minus = f"{words.minus} " if match["number_minus"] else ""
    return [Edit(match.start("number_minus") if minus else begin, end, minus + spelt)]


def _version(match: re.Match[str], speller: Speller) -> list[Edit]:
    point = speller.words.point if speller.language == "en" else speller.words.dot
    if not point:
        return []
    return said(match, f" {point} ".join(speller.cardinal(int(part)) for part in match[0].split(".")))
