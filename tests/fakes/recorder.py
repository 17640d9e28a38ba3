"""A recorder that keeps everything in a list."""

from __future__ import annotations

from app.voice.events import CallEnded, CallNoted, CallRecord, TurnCompleted


class FakeRecorder:
    def __init__(self) -> None:
        self.events: list[CallRecord] = []

    def record(self, event: CallRecord) -> None:
        self.events.append(event)

    @property
    def turns(self) -> list[TurnCompleted]:
        return [event for event in self.events if isinstance(event, TurnCompleted)]

    @property
    def notes(self) -> list[str]:
        return [event.name for event in self.events if isinstance(event, CallNoted)]

    def noted(self, name: str) -> list[CallNoted]:
        return [event for event in self.events if isinstance(event, CallNoted) and event.name == name]

    @property
    def ended(self) -> CallEnded:
        (event,) = [event for event in self.events if isinstance(event, CallEnded)]
        return event
