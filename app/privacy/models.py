"""What is looked through for personal data, and what is found. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.voice.events import Backchannel, CallerWord


class Kind(StrEnum):
    """What a finding is. The value, in brackets, stands in the redacted text for what was there."""

    CARD_NUMBER = "card number"
    CARD_EXPIRY = "card expiry"
    CARD_CODE = "card code"
    ACCOUNT_NUMBER = "account number"
    IBAN = "iban"
    BANK_CODE = "bank code"  # a sort code, or a routing number
    PHONE = "phone number"
    EMAIL = "email address"
    BIRTH_DATE = "date of birth"
    IDENTITY_NUMBER = (
        "identity number"  # social security, national insurance, health service, passport, licence
    )
    PIN = "pin"
    NAME = "name"

    @property
    def placeholder(self) -> str:
        """What stands in a redacted text."""
        return f"[{self.value}]"


class Side(StrEnum):
    """The text of a turn that a finding is in."""

    CALLER = "caller"  # caller_text
    REPLY = "reply"  # reply_text: what the agent meant to say
    HEARD = "heard"  # heard_text: what of it was heard
    BACKCHANNEL = "backchannel"  # the text of one of the backchannels


@dataclass(frozen=True, slots=True)
class CallTurn:
    """A turn as it is stored: the caller's words, then the agent's reply to them.

    Times are seconds of the leg's media clock; ``None`` where they are not known. ``caller_words`` are those
    words of ``caller_text`` whose times the recogniser told, in order. ``caller_language`` is BCP 47.
    """

    index: int
    caller_text: str = ""
    caller_words: tuple[CallerWord, ...] = ()
    caller_started: float | None = None
    caller_ended: float | None = None
    caller_language: str | None = None
    reply_text: str = ""
    heard_text: str = ""
    reply_started: float | None = None
    reply_ended: float | None = None
    backchannels: tuple[Backchannel, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Personal data in one text of a turn: its characters ``begin`` to ``end``, exclusive.

    ``turn`` is the index of the turn, ``part`` that of the backchannel. ``audio`` is where it is heard, from
    and to in seconds of the leg's media clock, on the channel of who says it, with a margin on both sides;
    where no time of the text is known, all between the turns beside it, to infinity after the last one.
    ``None`` for ``Side.REPLY``, which is not what is heard.
    """

    turn: int
    side: Side
    begin: int
    end: int
    kind: Kind
    audio: tuple[float, float] | None = None
    part: int = 0


@dataclass(frozen=True, slots=True)
class RedactedTurn:
    """The texts of a turn with placeholders; a word that is personal has one for its text."""

    index: int
    caller_text: str
    caller_words: tuple[CallerWord, ...]
    reply_text: str
    heard_text: str
    backchannels: tuple[Backchannel, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Personal data in a text: its characters ``begin`` to ``end``, exclusive.

    ``value`` is what a repetition is known by: its digits, or its words in lower case.
    """

    begin: int
    end: int
    kind: Kind
    value: str = ""


DIGITS_KINDS = frozenset(Kind) - {Kind.NAME, Kind.EMAIL}
"""Kinds whose value is of digits."""
