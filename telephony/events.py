"""What a leg reports, in the order it happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from telephony.errors import HangupCause
from telephony.media.frame import Samples


@dataclass(frozen=True, slots=True)
class AudioReceived:
    """Caller audio, in order, of any length.

    ``at`` is the leg's media clock in samples: where ``samples`` begins, counted from the first
    sample of the stream. Lost audio shows as a gap.
    """

    samples: Samples
    at: int


@dataclass(frozen=True, slots=True)
class DtmfReceived:
    """One key: ``0-9``, ``*``, ``#`` or ``A-D``."""

    digit: str


@dataclass(frozen=True, slots=True)
class MarkPlayed:
    """The carrier says that nothing queued before this mark remains: played, or cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class MachineDetected:
    """An answering machine took the call and, after its greeting, now records."""


@dataclass(frozen=True, slots=True)
class HungUp:
    """The leg is over; nothing follows."""

    cause: HangupCause


LegEvent: TypeAlias = AudioReceived | DtmfReceived | MarkPlayed | MachineDetected | HungUp
