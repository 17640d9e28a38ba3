"""What every reply of a call is made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.engines.llm.script import Script
from app.engines.ports import Expectation, LanguageModel, Synthesiser, VoiceSpec
from app.voice.echo import EchoMatcher
from app.voice.ports import Tool
from app.voice.profile import Phrasing
from app.voice.tools import RunningTools
from app.voice.turn import Input
from telephony.ports import CallLeg

Detail = dict[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Speaker:
    """Engines, leg, ways back into the session."""

    language_model: LanguageModel
    synthesiser: Synthesiser
    voice: VoiceSpec
    script: Script
    outage: Script
    refusal: str
    tools: Mapping[str, Tool]
    phrasing: Phrasing
    leg: CallLeg
    echo: EchoMatcher
    lead_seconds: float
    clock: Callable[[], float]
    report: Callable[[Input, float | None], None]
    expect: Callable[[Expectation | None], None]
    note: Callable[[str, Detail], None]
    running: RunningTools
