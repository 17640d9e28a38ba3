"""On what terms a call is held: what its agent was made of, and whether there is anybody to talk to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Closing:
    """Nobody is there: the caller hears ``say`` and is hung up on, or goes on to another number."""

    say: str
    transfers: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """For the call's record: the stored prompt and voice that the agent speaks with. ``closing``: it only
    tells that nobody is there."""

    prompt: str | None = None
    prompt_version: int | None = None
    voice: str | None = None
    closing: Closing | None = None


USUAL = Terms()
"""An agent with a profile of its own, that talks to the caller."""
