"""What the script of an outage sees of a call: its own first sentence, and what came after it. Pure.

A caller's "no" before that sentence answered something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.engines.ports import Message

_NOTHING_FITS = Message("user", "")


@dataclass(frozen=True, slots=True)
class Apology:
    """The first sentence of the script in this outage, in the reply to the first ``at`` messages.

    ``said`` is what the reply had said before it.
    """

    at: int
    said: str
    sentence: str

    def heard(self, messages: Sequence[Message]) -> bool:
        """Whether the caller heard most of it: a reply that was cut off stands there cut."""
        if len(messages) <= self.at or messages[self.at].role != "assistant":
            return False
        said, heard = _words(self.said), _words(messages[self.at].text)
        whole = _words(f"{said} {self.sentence}")
        return whole.startswith(heard) and len(heard) > (len(said) + len(whole)) / 2


def _words(text: str) -> str:
    return " ".join(text.split())


def shown(messages: Sequence[Message], apology: Apology | None) -> tuple[Message, ...]:
    """The messages for the script; without an ``apology`` that was heard, it begins with one."""
    return (_NOTHING_FITS, *(() if apology is None else messages[apology.at :]))
