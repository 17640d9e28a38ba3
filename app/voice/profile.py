"""What an agent is: its words, its voice, how it takes turns, what it knows. Read from its YAML."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.engines.llm.script import Script

Seconds = Annotated[float, Field(gt=0, le=24 * 3600)]
Probability = Annotated[float, Field(gt=0, lt=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VoiceSettings(_Part):
    """The agent's voice, by the speech engine's own name for it; empty: the default of the language."""

    name: str = ""
    rate: float = Field(default=1.0, ge=0.5, le=2.0)
    pitch: float = Field(default=1.0, ge=0.5, le=2.0)


class TurnTaking(_Part):
    """When the agent listens, waits and speaks. Durations in seconds."""

    vad_threshold: Probability = 0.5
    pause_seconds: Seconds = 0.12  # silence after which the recogniser is asked for its final
    endpoint_seconds: Seconds = 0.5  # silence that ends the caller's turn
    endpoint_max_seconds: Seconds = 2.0  # the same, while the final transcript is missing
    barge_in_seconds: Seconds = 0.3  # speech over the agent that takes the floor
    no_input_seconds: Seconds = 8.0
    no_input_reprompts: int = Field(default=2, ge=0, le=10)
    max_utterance_seconds: Seconds = 60.0
    reply_seconds: Seconds = 8.0  # for the reply's first audio, before an apology
    max_call_seconds: Seconds = 1800.0


class Sentences(_Part):
    """What the agent says outside the model's replies."""

    greeting: str = ""
    no_input: tuple[str, ...] = ("Are you still there?",)
    no_input_goodbye: str = "I cannot hear you, so I will hang up now. Goodbye."
    apology: str = "Sorry, something went wrong on my side. Could you say that again?"
    max_duration: str = "We have reached the longest time for one call. Goodbye."
    shutdown: str = "Our service is about to restart. Please call again in a moment. Goodbye."
    voicemail: str = ""  # left on an answering machine; empty: hang up without a word
    busy: str = "All our lines are busy right now. Please call again in a few minutes. Goodbye."


class AgentProfile(_Part):
    """One agent, whole."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")
    title: str = ""
    language: str = "en-US"
    voice: VoiceSettings = VoiceSettings()
    turns: TurnTaking = TurnTaking()
    says: Sentences = Sentences()
    instructions: str = ""  # the system prompt of a language model
    script: Script = Script()
    phrases: tuple[str, ...] = ()  # what callers say besides the script's phrases, for the recogniser
    tables: dict[str, dict[str, dict[str, str]]] = Field(default_factory=dict)  # table -> key -> fields
    tools: tuple[Literal["look_up", "transfer_call", "end_call"], ...] = (
        "look_up",
        "transfer_call",
        "end_call",
    )
