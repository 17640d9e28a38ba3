"""Links, e-mail addresses, telephone numbers and identifiers, as they are read out. Pure."""

from __future__ import annotations

import re

from app.voice.speakable.rule import Rule, digit_by_digit, said
from app.voice.speakable.speller import Speller
from app.voice.speakable.spoken import Edit

_TOP = r"(?:com|org|net|edu|gov|info|biz|io|ai|app|dev|eu|uk|de|ch|es|mx|fr|be|nl|pt|br|ca|au|nz|jp)"
_SIGN = re.compile(r"[./\-_@+]|[0-9]{3,}")


_MAIL = (
    r"(?<![\w.+-])(?:mailto:)?"
    r"(?P<mail_address>[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})"
)
_URL = (
    r"(?<![\w@.-])(?:(?:https?://(?:www\.)?|www\.)(?P<url_whole>[^\s<>?#]*[\w/])(?:[?#][^\s<>]*[\w/=])?"
    rf"|(?P<url_bare>(?:[A-Za-z0-9-]+\.)+{_TOP})(?P<url_path>/[^\s<>?#]*[\w/])?(?![\w@]))"
)
_SPACED = r"(?<![\w.,+])[0-9](?:,? [0-9](?![0-9]))+(?![\w:/.][0-9])"
_PHONE = (
    r"(?<![\w.])(?:\+[0-9](?:[ ().\-/]{0,3}[0-9]){6,14}"
    r"|\([0-9]{2,5}\)[ -]?[0-9](?:[ -]?[0-9]){4,11}"
    r"|(?:1[-. ])?[0-9]{3}[-. ][0-9]{3}[-. ][0-9]{4}|(?<=[Dd]ial )[0-9]{3,4}|(?<=[Cc]all )911"
    r"|0[0-9]{1,4}[ /-][0-9](?:[ /-]?[0-9]){4,11})(?!\w|[.,:][0-9])"
)
_IDENTIFIER = r"(?<![\w$€£+-])(?=[A-Z0-9-]*[0-9]{3})(?=[0-9-]*[A-Z])[A-Z0-9]+(?:-[A-Z0-9]+)*(?!\w)"
_DIGITS = (
    r"(?<![\w.,])(?:0[0-9]+|(?![0-9]+000(?![0-9]))[0-9]{5,}|[0-9]{13,}|[0-9]{3,}(?:-[0-9]{3,})+)"
    r"(?!\w|[.,:/][0-9])"
)


def rules() -> list[Rule]:
    """The rules, for any language; those with words of their own need the language to have them."""
    return [
        Rule("mail", _MAIL, _mail),
        Rule("url", _URL, _url),
        Rule("spaced", _SPACED, lambda match, speller: []),
        Rule("phone", _PHONE, _phone),
        Rule("ident", _IDENTIFIER, _one_by_one),
        Rule("digits", _DIGITS, _one_by_one),
    ]


def _one_by_one(match: re.Match[str], speller: Speller) -> list[Edit]:
    return digit_by_digit(match.string, *match.span())


def _mail(match: re.Match[str], speller: Speller) -> list[Edit]:
    return said(match, _read_out(match["mail_address"], speller)) if speller.words.at else []


def _url(match: re.Match[str], speller: Speller) -> list[Edit]:
    if not speller.words.dot:
        return []
    address = match["url_whole"] or match["url_bare"] + (match["url_path"] or "")
    return said(match, _read_out(address.rstrip("/"), speller))


def _read_out(address: str, speller: Speller) -> str:
    words = speller.words
    names = {
        ".": words.dot,
        "/": words.slash,
        "-": words.dash,
        "_": words.underscore,
        "@": words.at,
        "+": words.plus,
    }

    def name(match: re.Match[str]) -> str:
        sign = match[0]
        return f" {names[sign]} " if sign in names else " ".join(sign)

    return " ".join(_SIGN.sub(name, address).split())


def _phone(match: re.Match[str], speller: Speller) -> list[Edit]:
    begin, end = match.span()
    edits: list[Edit] = []
    first = begin
    while not match.string[first].isdigit():
        first += 1
    if first > begin:
        plus = speller.words.plus if match.string[begin] == "+" else ""
        edits.append(Edit(begin, first, f"{plus} " if plus else ""))
    return edits + digit_by_digit(match.string, first, end)
