"""Where telephony ends: what a carrier's leg offers, and what it asks of the application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from telephony.errors import HangupCause
from telephony.events import LegEvent
from telephony.media.frame import Samples


@dataclass(frozen=True, slots=True)
class LegInfo:
    """Who is on a leg. Numbers are E.164, or the carrier's word for a withheld one."""

    carrier: str
    carrier_call_id: str
    direction: Literal["inbound", "outbound"]
    from_number: str
    to_number: str


class CallLeg(Protocol):
    """One carrier-side connection of a call: events in, audio out.

    ``play``, ``mark``, ``clear`` and ``hang_up`` never block; once ``HungUp`` was reported they do
    nothing. What they queue leaves in the order of the calls.
    """

    @property
    def info(self) -> LegInfo:
        """Who is on this leg."""

    async def run(self, sink: Callable[[LegEvent], None]) -> None:
        """Report what happens to ``sink``, in order, until the leg is over; the last event is ``HungUp``.

        To be called once. Cancelling it ends the leg.
        """

    def play(self, samples: Samples) -> None:
        """Queue audio at the carrier, to be played after what is queued already."""

    def mark(self, name: str) -> None:
        """Ask for ``MarkPlayed(name)`` once all that was queued before has been played or cleared."""

    def clear(self) -> None:
        """Drop what was queued and has not been played."""

    def hang_up(self, cause: HangupCause) -> None:
        """End the leg at once, dropping unplayed audio. ``HungUp(cause)`` follows."""


class CallHandler(Protocol):
    """The application, as a carrier sees it."""

    def reserve(self, carrier_call_id: str) -> bool:
        """Hold a place for a call that was announced; ``False`` while full or draining.

        Asking again for the same call changes nothing. A place that is not used is freed after a minute.
        """

    async def handle(self, leg: CallLeg) -> None:
        """Hold the conversation on an answered leg; returns when the leg is over."""

    def onward(self, carrier_call_id: str) -> str:
        """The number (E.164) where a call goes on whose leg is over; ``""``: it ends. Asked once a leg."""

    def note(self, carrier_call_id: str, name: str, detail: Mapping[str, str | int | float | bool]) -> None:
        """The carrier reported something about a call: store it with the call, if it is known."""
