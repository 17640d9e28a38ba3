"""An agent's script: intents, the answers to them and the slots they need, as written in its YAML.

Pure data; ``scripted.py`` walks it. Texts may name slots and found fields as ``{name}``; digits are read out
one by one. ``then: repeat`` says the reply before once more.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DigitsSlot(_Part):
    """A number the caller is asked for, digit by digit."""

    name: str
    length: int = Field(ge=1, le=20)
    ask: str
    retry: str  # heard, but not that many digits
    read_back: str = ""  # spoken as soon as the number is known, while it is looked up


class Lookup(_Part):
    """A call of the ``look_up`` tool: the row of ``table`` whose key is the slot ``key``.

    After ``missing`` the number is asked for again.
    """

    table: str
    key: str
    found: str
    missing: str


class Intent(_Part):
    """Something a caller may want. A phrase matches when most of its words stand in the caller's, in order.

    With a ``lookup`` its texts are the answer; otherwise ``say`` is, once the slot (if any) is known.
    """

    phrases: tuple[str, ...] = Field(min_length=1)
    say: str = ""
    slot: DigitsSlot | None = None
    lookup: Lookup | None = None
    then: Literal["listen", "hang_up", "transfer", "repeat"] = "listen"

    @model_validator(mode="after")
    def _lookup_has_its_slot(self) -> Intent:
        if self.lookup and (self.slot is None or self.slot.name != self.lookup.key):
            raise ValueError("lookup.key must be the name of this intent's slot")
        return self


class Script(_Part):
    """Intents by name, and what to say when none matches (the first time, the second time, ...)."""

    intents: dict[str, Intent] = Field(default_factory=dict)
    no_match: tuple[str, ...] = ("Sorry, I did not understand that. Could you say it another way?",)
