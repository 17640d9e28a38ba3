"""What an agent is: its words, its voice, how it takes turns, what it knows. Read from its YAML."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.engines.llm.script import Intent, Script
from app.voice.after_call import AfterCall

Seconds = Annotated[float, Field(gt=0, le=24 * 3600)]
Probability = Annotated[float, Field(gt=0, lt=1)]
ToolName = Literal["look_up", "transfer_call", "end_call", "pause_recording", "resume_recording"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VoiceSettings(_Part):
    """The agent's voice, by the speech engine's own name for it; empty: the default of the language.

    ``names``: the same for engines that call it otherwise, or that have another: {edge: en-US-AriaNeural}.
    ``stored``: the voice of that name in the database, which takes the place of all the others.
    """

    stored: str = Field(default="", pattern=r"^([a-z][a-z0-9_-]{0,62})?$")

    name: str = ""
    names: dict[str, str] = Field(default_factory=dict)
    rate: float = Field(default=1.0, ge=0.5, le=2.0)
    pitch: float = Field(default=1.0, ge=0.5, le=2.0)


class Endpointing(_Part):
    """How long a silence ends the caller's turn, by what was said before it. Durations in seconds.

    Between the three waits for finished, usual and unfinished words it goes by how complete they are.
    """

    finished_seconds: Seconds = 0.3  # after a finished sentence or a complete expected answer
    usual_seconds: Seconds = 0.75  # where nothing speaks for or against
    unfinished_seconds: Seconds = 1.2  # after "and", "um", a preposition that waits for its noun
    dictating_seconds: Seconds = 1.5  # while fewer digits or letters than expected were said
    without_final_seconds: Seconds = 2.0  # while the recogniser owes its final transcript
    # Of a model that hears the intonation: the exponent of its odds, which multiply those of the words.
    model_weight: float = Field(default=0.4, ge=0, le=1)


class OverlapAction(StrEnum):
    """What the agent does when the caller really interrupts it."""

    STOP_AND_LISTEN = "stop_and_listen"
    STOP_AND_ACKNOWLEDGE = "stop_and_acknowledge"  # with ``says.acknowledgement``
    DUCK_AND_CONTINUE = "duck_and_continue"  # softer while the caller speaks; answers afterwards
    IGNORE = "ignore"


class Overlap(_Part):
    """Speech over the agent: what counts as an interruption. Durations in seconds."""

    action: OverlapAction = OverlapAction.STOP_AND_LISTEN
    vad_threshold: Probability = 0.5
    floor_dbfs: float = Field(default=-50.0, ge=-96, le=0)  # RMS of a window; quieter speech is ignored
    least_seconds: Seconds = 0.2  # shorter speech never interrupts by itself, only by its words
    confirm_seconds: Seconds = 0.38  # speech that interrupts once words of it were heard
    wordless_seconds: Seconds = 0.48  # the same without a word, or with no more than a lone "the" or "you"
    backchannel_seconds: Seconds = 1.0  # the longest "mm-hmm, yes, right"
    decide_seconds: Seconds = 0.5  # after the onset; by then the agent goes on or yields
    cooldown_seconds: Annotated[float, Field(ge=0, le=60)] = 1.0  # after a false alarm: no pause
    echo_likeness: Probability = 0.65  # correlation with the agent's own audio that makes it echo
    backchannels: tuple[str, ...] = ()  # besides those of the language
    duck_db: float = Field(default=12.0, ge=1, le=60)


class Speculation(_Part):
    """Starting on the reply before the caller's turn is surely over."""

    enabled: bool = True
    most_per_turn: int = Field(default=2, ge=1, le=10)
    stable_interims: int = Field(default=3, ge=2, le=20)  # as many alike stand for a missing final


class Keys(_Part):
    """The telephone's keypad as input. Durations in seconds."""

    enabled: bool = True
    interrupt: bool = True  # a key over the agent takes the floor
    pause_seconds: Seconds = 2.0  # without a key, which ends the entry
    end: str = Field(default="#", pattern=r"^[0-9*#A-D]?$")  # this key ends the entry at once
    restart: str = Field(default="*", pattern=r"^[0-9*#A-D]?$")  # this key discards it


class Phrasing(_Part):
    """How a reply is cut into the phrases that are spoken. Lengths in characters."""

    first_clause: int = Field(default=24, ge=1, le=500)  # a clause may end the first phrase from here
    clause: int = Field(default=80, ge=1, le=500)  # the same for any other phrase
    longest: int = Field(default=200, ge=20, le=1000)  # from here the next word ends it
    shortest: int = Field(default=4, ge=1, le=100)  # less is joined to what follows
    wait_seconds: Seconds = 0.6  # a word ends the first phrase once the model let it wait so long


class TurnTaking(_Part):
    """When the agent listens, waits and speaks. Durations in seconds."""

    vad_threshold: Probability = 0.5
    pause_seconds: Seconds = 0.12  # silence after which the recogniser is asked for its final
    endpointing: Endpointing = Endpointing()
    overlap: Overlap = Overlap()
    speculation: Speculation = Speculation()
    keys: Keys = Keys()
    no_input_seconds: Seconds = 8.0
    no_input_reprompts: int = Field(default=2, ge=0, le=10)
    no_match_reprompts: int = Field(default=2, ge=0, le=10)
    escalate: Literal["transfer", "hang_up"] = "hang_up"  # once the caller was not understood too often
    max_utterance_seconds: Seconds = 60.0
    filler_seconds: Seconds = 2.5  # without a word of the model, before ``says.filler``
    reply_seconds: Seconds = 8.0  # for the reply's first audio, before an apology
    max_call_seconds: Seconds = 1800.0


class Recording(_Part):
    """Whether calls are recorded, what callers are told of it, and when it pauses. Durations in seconds."""

    enabled: bool | None = None  # left out: as the installation does
    by: Literal["trunkline", "carrier"] | None = None  # who records; left out: as the installation does
    consent: str = ""  # said before the greeting: "This call may be recorded. Say no if you do not agree."
    consent_required: bool = False  # nothing is recorded before that sentence was heard
    refuse_phrases: tuple[str, ...] = (  # as the answer to it: the recording is stopped and deleted
        "no",
        "no thanks",
        "no thank you",
        "no please don't",
        "please don't",
        "i do not agree",
        "i don't agree",
        "i do not consent",
        "i don't consent",
        "do not record",
        "don't record",
        "do not record me",
        "don't record me",
        "do not record this call",
        "don't record this call",
        "stop recording",
        "i do not want to be recorded",
        "i don't want to be recorded",
    )
    refuse_key: str = Field(default="", pattern=r"^[0-9*#A-D]?$")  # the same, by a key
    refused: str = "All right, this call is not recorded. How can I help you?"
    pause_words: tuple[str, ...] = ()  # once the agent says one, paused until its next reply was heard
    pause_seconds: Seconds = 120.0  # the longest pause; recording goes on by itself then

    @model_validator(mode="after")
    def _something_to_agree_to(self) -> Self:
        if self.consent_required and not self.consent:
            raise ValueError("recording.consent_required needs a sentence in recording.consent")
        return self


class Sentences(_Part):
    """What the agent says outside the model's replies."""

    greeting: str = ""
    no_input: tuple[str, ...] = ("Are you still there?",)
    no_match: tuple[str, ...] = ("Sorry, I did not catch that.", "Sorry, could you say that once more?")
    no_match_transfer: str = "I am sorry, I cannot understand you well. I will connect you with a person."
    no_match_goodbye: str = "I am sorry, I cannot understand you well. Goodbye."
    filler: tuple[str, ...] = ("One moment, please.",)
    acknowledgement: str = "Go ahead."
    no_input_goodbye: str = "I cannot hear you, so I will hang up now. Goodbye."
    refusal: str = "I am sorry, I cannot help you with that. Is there anything else?"
    apology: str = "Sorry, something went wrong on my side. Could you say that again?"
    max_duration: str = "We have reached the longest time for one call. Goodbye."
    shutdown: str = "Our service is about to restart. Please call again in a moment. Goodbye."
    voicemail: str = ""  # left on an answering machine; empty: hang up without a word
    busy: str = "All our lines are busy right now. Please call again in a few minutes. Goodbye."


OUTAGE = Script(
    no_match=(
        "I am sorry, I have a technical problem and cannot help you now. Shall I connect you with a person?",
        "I still have that problem. Shall I connect you with a person? Please say yes or no.",
    ),
    intents={
        "person": Intent(
            phrases=("yes", "yes please", "please", "okay", "sure", "a person", "speak to a person"),
            say="I will connect you. One moment, please.",
            then="transfer",
        ),
        "goodbye": Intent(
            phrases=("no", "no thank you", "no thanks", "goodbye", "bye"),
            say="Please call again later. I am sorry. Goodbye.",
            then="hang_up",
        ),
    },
)
"""What an agent says while no language model answers: it apologises and offers a person."""

OUTAGE_ALONE = Script(
    no_match=("I am sorry, I have a technical problem and cannot help you now. Please call again later.",),
    intents={
        "goodbye": Intent(
            phrases=("okay", "yes", "no", "goodbye", "bye", "thank you"), say="Goodbye.", then="hang_up"
        )
    },
)
"""The same, of an agent that cannot transfer calls."""


class AgentProfile(_Part):
    """One agent, whole."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")
    title: str = ""
    language: str = "en-US"
    voice: VoiceSettings = VoiceSettings()
    turns: TurnTaking = TurnTaking()
    phrasing: Phrasing = Phrasing()
    says: Sentences = Sentences()
    recording: Recording = Recording()
    after: AfterCall = AfterCall()
    # A prompt in the database, whose active version takes the place of ``instructions``.
    prompt: str = Field(default="", pattern=r"^([a-z][a-z0-9_-]{0,62})?$")
    instructions: str = ""  # the system prompt of a language model
    script: Script = Script()
    outage: Script | None = None  # what is said while no language model answers; left out: an apology
    prepared: tuple[str, ...] = ()  # answers to common questions, whose audio is made before the first call
    phrases: tuple[str, ...] = ()  # what callers say besides the script's phrases, for the recogniser
    tables: dict[str, dict[str, dict[str, str]]] = Field(default_factory=dict)  # table -> key -> fields
    tools: tuple[ToolName, ...] = ("look_up", "transfer_call", "end_call")

    @model_validator(mode="after")
    def _script_has_what_is_asked_after_calls(self) -> Self:
        slots = {intent.slot.name for intent in self.script.intents.values() if intent.slot}
        for asked in self.after.fields:
            if asked.slot and asked.slot not in slots:
                raise ValueError(
                    f"after.fields: {asked.name}: no intent of the script has the slot {asked.slot!r}"
                )
        for disposition in self.after.dispositions:
            for intent in disposition.intents:
                if intent not in self.script.intents:
                    raise ValueError(
                        f"after.dispositions: {disposition.name}: the script has no intent {intent!r}"
                    )
        return self

    @property
    def in_outage(self) -> Script:
        """What the agent says while no language model answers."""
        return self.outage or (OUTAGE if "transfer_call" in self.tools else OUTAGE_ALONE)
