"""A call that is over, as the work after it sees it. Pure data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.privacy.models import CallTurn
from app.voice.profile import AgentProfile


@dataclass(frozen=True, slots=True)
class FinishedTurn:
    """A turn as it is stored. ``at``: when it was over. ``response_ms``: the caller's wait for the reply."""

    said: CallTurn
    at: datetime
    interrupted: bool = False
    response_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """Something worth a line in the call's record, by its number."""

    number: int
    at: datetime
    name: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FinishedCall:
    """A call with what was said and noted in it, and the profile of the agent that answered it.

    ``unread``: why that profile could not be read, and what to do; ``profile`` is then one of defaults, and
    no step may go by it.
    """

    id: UUID
    started_at: datetime
    ended_at: datetime
    profile: AgentProfile
    unread: str = ""
    agent_version: int = 1
    carrier: str = ""
    carrier_call_id: str = ""
    direction: str = "inbound"
    from_number: str = ""
    to_number: str = ""
    duration_seconds: float = 0.0
    cause: str = ""
    outcome: str = "unknown"
    language: str = "en-US"
    turns: tuple[FinishedTurn, ...] = ()
    events: tuple[Noted, ...] = field(default=())

    @property
    def said(self) -> tuple[CallTurn, ...]:
        """The turns, in order."""
        return tuple(turn.said for turn in self.turns)

    def noted(self, name: str) -> int:
        """How often that was noted."""
        return sum(event.name == name for event in self.events)

    @property
    def tools(self) -> tuple[str, ...]:
        """The tools that were used, in order, each once."""
        used = (event.detail.get("tool") for event in self.events if event.name == "tool_called")
        return tuple(dict.fromkeys(str(tool) for tool in used if tool and tool != "unknown"))

    def lines(self) -> Iterator[tuple[str, str]]:
        """Who said what, as it was heard: ``caller`` or ``agent``, and the words."""
        for said in self.said:
            if said.caller_text:
                yield "caller", said.caller_text
            if said.heard_text:
                yield "agent", said.heard_text
