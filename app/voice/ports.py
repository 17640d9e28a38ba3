"""What a conversation asks of the application around it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from app.engines.ports import ToolSpec
from app.voice.events import CallRecord


class CallRecorder(Protocol):
    """Remembers calls."""

    def record(self, event: CallRecord) -> None:
        """Take an event to be stored. Never blocks and never raises; what cannot be stored is counted."""


class RecordingControl(Protocol):
    """What a conversation may do about the recording of its call. Nothing of it blocks or raises."""

    @property
    def recording(self) -> bool:
        """Whether what is said now is kept."""

    def begin(self) -> None:
        """Record from now on; before, nothing is."""

    def pause(self) -> None:
        """Keep silence instead of what is said, until ``resume``."""

    def resume(self) -> None:
        """Go on after a pause."""

    def refuse(self) -> None:
        """The caller does not want it: stop for good, and delete what there is."""


class AfterReply(StrEnum):
    """What happens once the reply that follows a tool has been heard."""

    LISTEN = "listen"
    HANG_UP = "hang_up"
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool's answer: ``text`` goes to the model."""

    text: str
    after: AfterReply = AfterReply.LISTEN


class Tool(Protocol):
    """Something the model may do besides speaking."""

    @property
    def spec(self) -> ToolSpec:
        """The tool as the model sees it."""

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Do it. Arguments are the model's: check them, and answer a wrong one with a text that says so."""
