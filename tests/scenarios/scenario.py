"""What a scenario is: the agent, its engines, the line, what the caller does, what must come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from app.voice.profile import AgentProfile
from telephony.simulator.conditions import PERFECT, LineConditions

Place: TypeAlias = Literal["virtual", "wire"]
"""Where a scenario runs, or where alone an expectation counts."""


# What the language model says


@dataclass(frozen=True, slots=True)
class Fail:
    """The model or its connection breaks."""


@dataclass(frozen=True, slots=True)
class Use:
    """The model calls a tool."""

    tool: str
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ask:
    """The model says that it has asked for digits."""

    length: int | None


ModelStep: TypeAlias = str | float | Fail | Use | Ask
"""A text, seconds of waiting, or one of the others."""


@dataclass(frozen=True, slots=True)
class ToldRecogniser:
    """How the recogniser behaves; what it hears are the caller's words. Durations in seconds."""

    final_after: float = 0.1
    interim_after: float = 0.0  # a word was out
    finals: Literal["normal", "lost", "empty"] = "normal"
    interims: Literal["normal", "none"] = "normal"


@dataclass(frozen=True, slots=True)
class ToldVoice:
    """How the synthesiser behaves. Durations in seconds."""

    first_audio_after: float = 0.08
    silent: bool = False  # it makes no audio at all and does not fail
    fails: bool = False
    hums: bool = False  # a tone in place of speech, whose own steps from sample to sample are small


# What the caller does, and when


@dataclass(frozen=True, slots=True)
class At:
    """So many seconds after the call was answered."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Into:
    """So many seconds after the agent's n-th saying began to be heard."""

    saying: int
    seconds: float


@dataclass(frozen=True, slots=True)
class After:
    """Once the agent's n-th saying was heard and nothing more was heard for so many seconds."""

    saying: int
    seconds: float


When: TypeAlias = At | Into | After


@dataclass(frozen=True, slots=True)
class Speak:
    """The caller says words; ``level`` in dB is relative to a normal voice."""

    text: str
    seconds: float
    level: float = 0.0


@dataclass(frozen=True, slots=True)
class Sound:
    """Something that is not speech; ``level`` in dBFS."""

    kind: Literal["cough", "noise"]
    seconds: float
    level: float


@dataclass(frozen=True, slots=True)
class Press:
    """Keys, a quarter of a second apart."""

    keys: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """The caller puts the handset down."""


@dataclass(frozen=True, slots=True)
class Stay:
    """The caller stays on the line in any case until then."""


Deed: TypeAlias = Speak | Sound | Press | HangUp | Stay


@dataclass(frozen=True, slots=True)
class Action:
    """One line of ``call``."""

    when: When
    deed: Deed
    text: str = field(compare=False)  # as it stands in the file


# What must come of it


@dataclass(frozen=True, slots=True)
class Expectation:
    """One line of ``expect``: the rule that judges it, the rule's values, and where it counts."""

    rule: str
    values: Mapping[str, str]
    text: str
    line: int
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One file of ``calls/``."""

    path: Path
    why: str
    profile: AgentProfile
    actions: Sequence[Action]
    expectations: Sequence[Expectation]
    complaint: int | None = None
    place: Place | None = None  # where it runs; None: in both
    model: Sequence[Sequence[ModelStep]] = ()
    recogniser: ToldRecogniser = ToldRecogniser()
    voice: ToldVoice = ToldVoice()
    line: LineConditions = PERFECT

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.stem
