"""What a language's file says. Pure.

Patterns are matched against a text's tokens joined by single spaces, in lower case: ``it ' s`` never occurs,
``it's`` is one token, and a full stop is a token of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from app.privacy.models import Kind


class Label(StrEnum):
    """What words say of a number near them; but for the last three, the kind of personal data it is."""

    CARD = "CARD"
    EXPIRY = "EXPIRY"
    CODE = "CODE"
    ACCOUNT = "ACCOUNT"
    IBAN = "IBAN"
    BANK = "BANK"
    PHONE = "PHONE"
    EMAIL = "EMAIL"
    BIRTH = "BIRTH"
    IDENTITY = "IDENTITY"
    PIN = "PIN"
    NAME = "NAME"
    ENDING = "ENDING"  # the end of what was named before, or of a card
    OTHER = "OTHER"  # nothing personal: an order, a price, a time
    NOTHING = "NOTHING"  # says nothing of the number: "on my account"


KINDS: Mapping[Label, Kind] = {
    Label.CARD: Kind.CARD_NUMBER,
    Label.EXPIRY: Kind.CARD_EXPIRY,
    Label.CODE: Kind.CARD_CODE,
    Label.ACCOUNT: Kind.ACCOUNT_NUMBER,
    Label.IBAN: Kind.IBAN,
    Label.BANK: Kind.BANK_CODE,
    Label.PHONE: Kind.PHONE,
    Label.EMAIL: Kind.EMAIL,
    Label.BIRTH: Kind.BIRTH_DATE,
    Label.IDENTITY: Kind.IDENTITY_NUMBER,
    Label.PIN: Kind.PIN,
    Label.NAME: Kind.NAME,
}


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that say what a number near them is. ``weak``: words that mostly say something else."""

    label: Label
    pattern: str
    weak: bool = False


@dataclass(frozen=True, eq=False)
class Language:
    """One language. Words are in lower case; of cues that begin at the same word, the first listed counts."""

    tag: str
    # numbers
    digits: Mapping[str, str]  # a word -> its digit
    sounds: Mapping[str, str]  # words that a recogniser writes for a digit, within digits
    teens: Mapping[str, str]
    tens: Mapping[str, str]  # a word -> its first digit
    times: Mapping[str, int]  # "double"
    scales: Mapping[str, str]  # "hundred" -> the zeros
    letters: Mapping[str, str]  # words that stand for letters: "zed", "alpha"
    fillers: frozenset[str]  # may stand within a number
    corrections: str  # a pattern of what may stand between a number and its correction
    units: frozenset[str]  # after a number: it counts something
    before_counts: frozenset[str]  # before a number: it counts something
    # dates
    months: Mapping[str, int]
    ordinals: Mapping[str, int]
    ordinal_ends: frozenset[str]  # after figures
    date_words: frozenset[str]  # may stand within a date
    # context
    cues: tuple[Cue, ...]
    possessive: str  # a pattern of what a cue's last word may have behind it: "the number's"
    links: frozenset[str]  # between a cue and its number, or a number and its cue: "is"
    answer_words: frozenset[str]  # besides these an answer is all number
    # e-mail
    at: frozenset[str]
    sign: frozenset[str]  # behind an "at": "at sign"
    dot: frozenset[str]
    joins: frozenset[str]  # besides dots, within an address: "underscore"
    top_domains: frozenset[str]
    top_words: frozenset[str]  # those of them that are also words: they end a domain where nothing goes on
    providers: frozenset[str]  # are a domain without its end
    not_in_address: frozenset[str]  # a word that ends the address to the left
    asides: str  # a pattern of what is said about an address in the middle of it
    # names
    name_cues: str  # a pattern: a name follows
    name_hints: str  # a pattern: a name follows, where more says so
    name_after: str  # a pattern: a name stands before it
    name_from: frozenset[str]  # behind two words that may be a name: "from the bank"
    not_name_ends: tuple[str, ...]  # ends of words that are no names, unless they are given
    name_asked: str  # a pattern of the agent's question
    spelled: str  # a pattern: letters follow
    as_in: frozenset[str]  # "s for sugar"
    titles: frozenset[str]
    greetings: frozenset[str]  # a name may follow
    given_names: frozenset[str]
    not_names: frozenset[str]  # words that no name begins with, wherever one is expected
    common: frozenset[str]  # names that are also words: repetitions count beside another name only
    particles: frozenset[str]  # within a name: "del"

    @cached_property
    def cue_pattern(self) -> re.Pattern[str]:
        """All cues; the name of the group that matched is ``c`` and the cue's place in the list."""
        parts = (f"(?P<c{number}>{cue.pattern})" for number, cue in enumerate(self.cues))
        return re.compile(rf"(?<!\S)(?:{'|'.join(parts)}){self.possessive}(?!\S)")

    @cached_property
    def patterns(self) -> Mapping[str, re.Pattern[str]]:
        """The other patterns, by the name of their field."""
        names = ("corrections", "asides", "name_cues", "name_hints", "name_after", "name_asked", "spelled")
        return {name: re.compile(rf"(?<!\S)(?:{getattr(self, name)})(?!\S)") for name in names}
