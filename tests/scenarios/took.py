"""What came of a scenario: both voices on one time line, and everything that was observed on the way.

All times are seconds on the call's line, which begins when the call was answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from uuid import UUID

from app.engines.ports import ReplyRequest
from app.voice.events import CallEnded, CallNoted, CallRecord, TurnCompleted
from telephony.media.frame import Samples
from telephony.simulator.heard import PlacedMark
from telephony.simulator.phone import Phone
from tests.scenarios.scenario import Action, Place, Scenario


@dataclass(frozen=True, slots=True)
class Done:
    """A line of ``call`` as it was carried out; ``number`` counts the lines from 1."""

    number: int
    action: Action
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Saying:
    """Something the agent said as one: a reply, a greeting, a reprompt. First and last audible sample."""

    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class StateChange:
    """The turn machine came into a state."""

    at: float
    state: str


@dataclass(frozen=True, slots=True, eq=False)
class Took:
    """One finished call."""

    scenario: Scenario
    place: Place
    caller: Samples = field(repr=False)
    agent: Samples = field(repr=False)
    done: Sequence[Done]
    sayings: Sequence[Saying]
    marks: Sequence[PlacedMark]
    clears: Sequence[float]
    gaps: int  # audible skips of the agent's audio
    states: Sequence[StateChange]
    windows: Sequence[tuple[float, float]]  # (end, probability of speech)
    records: Sequence[tuple[float, CallRecord]]
    requests: Sequence[tuple[float, ReplyRequest]]
    hung_up_by: str
    duration: float
    faults: Sequence[str]  # what broke a rule that holds in every call

    @property
    def call_id(self) -> UUID:
        """Our id of the call."""
        return self.records[0][1].call_id

    @property
    def turns(self) -> list[TurnCompleted]:
        """The stored turns, in order."""
        return sorted(
            (event for _, event in self.records if isinstance(event, TurnCompleted)),
            key=lambda turn: turn.index,
        )

    @property
    def ended(self) -> CallEnded | None:
        """How the call was stored to have ended."""
        return next((event for _, event in self.records if isinstance(event, CallEnded)), None)

    def notes(self, name: str) -> list[tuple[float, CallNoted]]:
        """The notes of one name, with when they were made."""
        return [(at, note) for at, note in self.all_notes() if note.name == name]

    def all_notes(self) -> Iterator[tuple[float, CallNoted]]:
        """Every note, with when it was made."""
        for at, event in self.records:
            if isinstance(event, CallNoted):
                yield at, event


def sayings_began(phone: Phone) -> list[float]:
    """When each of the agent's sayings so far was first heard.

    A saying is told by its marks, whose names begin with its number. Its audio begins after the last mark
    of the one before, or where that was cleared.
    """
    began: list[float] = []
    before, known = 0.0, ""
    for mark in phone.marks:
        saying = mark.name.partition(".")[0]
        if saying != known:
            known = saying
            cleared = max((clear for clear in phone.clears if clear <= mark.at), default=0.0)
            heard = phone.agent_began(max(before, cleared))
            if heard is None:
                break  # placed, not heard yet
            began.append(heard)
        reached = min([mark.due, *(clear for clear in phone.clears if clear >= mark.at)])
        before = max(before, reached)
    return began


def sayings(phone: Phone, until: float) -> list[Saying]:
    """The agent's sayings, each to its last audible sample."""
    begun = sayings_began(phone)
    found = []
    for begin, following in pairwise([*begun, until]):
        end = phone.playout.last_heard(following)
        found.append(Saying(begin, max(begin, end or begin)))
    return found
