"""Written forms, alike in every language: e-mail, IBAN, card, social security and telephone numbers.

Card numbers and IBANs are checked by python-stdnum, telephone numbers by phonenumbers, which has the plans of
all countries. Pure but for their tables, which they read on first use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import phonenumbers
from stdnum import iban, luhn
from stdnum.us import ssn

from app.privacy.models import Kind, Span

REGIONS = ("US", "GB")
"""Whose national telephone numbers are known without a country code."""

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])")
_CARD = re.compile(r"(?<![\w.,+-])[3-6](?:[ -]?\d){12,18}(?!\w|[.,-]\d)")
_IBAN = re.compile(r"(?<!\w)[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?(?!\w)")
_SSN = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")
_INTERNATIONAL = "ZZ"


def written(text: str, regions: Sequence[str] = REGIONS) -> list[Span]:
    """All written forms in a text; they may overlap, the surer one first."""
    if not any(character.isdigit() or character == "@" for character in text):
        return []
    found = [Span(*match.span(), Kind.EMAIL) for match in _EMAIL.finditer(text)]
    found += _ibans(text)
    found += [
        Span(*match.span(), Kind.CARD_NUMBER, digits)
        for match in _CARD.finditer(text)
        if is_card(digits := plain_digits(match[0]))
    ]
    found += [
        Span(*match.span(), Kind.IDENTITY_NUMBER, plain_digits(match[0]))
        for match in _SSN.finditer(text)
        if ssn.is_valid(match[0])
    ]
    found += _phones(text, regions)
    return found


def plain_digits(text: str) -> str:
    """The digits of a text."""
    return "".join(character for character in text if character.isdecimal())


def is_card(digits: str) -> bool:
    """Whether digits are as many as a card's, begin as one's and have its check digit (ISO/IEC 7812)."""
    return 13 <= len(digits) <= 19 and digits[0] in "3456" and luhn.is_valid(digits)


def is_iban(text: str) -> bool:
    """Whether letters and digits are an IBAN, by its country's length and check digits (ISO 13616)."""
    return len(text) >= 15 and iban.is_valid(text)


def is_phone(digits: str, regions: Sequence[str], *, possible: bool = False) -> bool:
    """Whether digits are a telephone number in one of the regions; ``possible``: whether they could be one.

    Numbers that nobody has, such as those of films, are possible and not valid.
    """
    for region in regions:
        try:
            number = phonenumbers.parse(digits, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return True
        reason = phonenumbers.is_possible_number_with_reason(number)
        if possible and reason == phonenumbers.ValidationResult.IS_POSSIBLE:
            return True
    return False


def _ibans(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        words = match[0].split(" ")
        for count in range(len(words), 0, -1):  # a word behind it may look like its last group
            candidate = " ".join(words[:count])
            if is_iban(candidate):
                yield Span(match.start(), match.start() + len(candidate), Kind.IBAN, plain_digits(candidate))
                break


def _phones(text: str, regions: Sequence[str]) -> Iterator[Span]:
    for region in (*regions, _INTERNATIONAL):
        for match in phonenumbers.PhoneNumberMatcher(text, region, leniency=phonenumbers.Leniency.VALID):
            digits = plain_digits(match.raw_string)
            formatted = match.raw_string.strip() != digits
            if formatted or region == _INTERNATIONAL:
                yield Span(match.start, match.end, Kind.PHONE, digits)
