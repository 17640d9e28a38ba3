"""The ports of a conversation: voice activity, recognition, end of turn, language, speech, translation.

All audio is mono PCM16 at 8 kHz, as on the telephone; an adapter resamples for its engine. Every
callback is called on the event loop. ``start`` loads what the engine needs and raises
``EngineUnavailable`` when something is missing, so that it is found before the first call.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias

from app.engines.llm.script import Script
from telephony.media.frame import SAMPLE_RATE, Samples


class Engine(Protocol):
    """What every engine has."""

    @property
    def name(self) -> str:
        """The engine's name in settings and metrics."""

    async def start(self) -> None:
        """Load models, start workers. Raises ``EngineUnavailable``."""

    async def close(self) -> None:
        """Stop workers and close connections; streams still open end."""


# Voice activity


@dataclass(frozen=True, slots=True)
class VoiceActivity:
    """How likely the window that ends at sample ``end`` of the stream holds speech."""

    probability: float
    end: int


class VadStream(Protocol):
    """Voice activity of one leg."""

    def push(self, samples: Samples) -> None:
        """Take audio of any length. Never blocks; each full window is reported to the sink in order."""

    def close(self) -> None:
        """Report nothing more."""


class VoiceActivityDetector(Engine, Protocol):
    """Detects speech on any number of legs at once."""

    def open(self, sink: Callable[[VoiceActivity], None]) -> VadStream:
        """A stream for one leg, whose windows are reported to ``sink``."""


# Recognition


@dataclass(frozen=True, slots=True)
class RecognitionHints:
    """What a caller of this agent is likely to say: an agent's phrases in a language (BCP 47)."""

    language: str = "en-US"
    phrases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the caller has just been asked for. ``length``: how many digits or letters, where known.

    A recogniser that cannot listen for a kind listens for anything.
    """

    kind: Literal["digits", "letters", "yes_no"]
    length: int | None = None


HELD_SAMPLES = 60 * SAMPLE_RATE
"""What a stream of a recogniser holds at least, of audio that comes faster than it is heard: all that another
recogniser lost is pushed at once."""

UNCLEAR = "[unclear]"
"""The transcript of speech whose words the recogniser does not believe; no text at all: no speech."""


@dataclass(frozen=True, slots=True)
class RecognisedWord:
    """A word and where it was said: samples from the first one pushed of its segment."""

    text: str
    start: int
    end: int
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the recogniser heard in the current segment so far (interim) or in all of it (final).

    A final with empty ``text`` says that the segment held no words; one that is ``lost``, that the engine
    failed while it heard the segment, whose words nobody knows. ``confidence`` is 0 to 1; it, ``words`` and
    ``language`` (BCP 47, as heard) are there where the engine knows them.
    """

    text: str
    final: bool
    confidence: float | None = None
    words: tuple[RecognisedWord, ...] = ()
    language: str | None = None
    lost: bool = False


EMPTY = Transcript("", final=True)
LOST = Transcript("", final=True, lost=True)


class RecogniserStream(Protocol):
    """Recognition of one leg. Audio comes in segments: some pushes, then ``finish_segment``, and again.

    A segment is one stretch of speech with the audio just before it. Exactly one final transcript answers
    each ``finish_segment``, in order; where the engine failed, one that is ``lost``, once that is known.
    Transcripts are never reported from inside a call to the stream.
    """

    def push(self, samples: Samples) -> None:
        """Take audio of the current segment. Never blocks.

        It holds ``HELD_SAMPLES`` pushed at once; what it cannot take is dropped and counted.
        """

    def finish_segment(self) -> None:
        """The caller paused: send the final transcript of this segment as soon as it is known."""

    def expect(self, expectation: Expectation | None) -> None:
        """From the next segment on, listen for this; ``None``: for anything."""

    async def close(self) -> None:
        """Free the stream; nothing more is reported."""


class Recogniser(Engine, Protocol):
    """Turns speech into text on any number of legs at once."""

    async def prepare(self, hints: RecognitionHints) -> None:
        """Load what these hints need, so that the first call does not wait for it.

        Raises ``RequestRefused`` for a language that it does not know.
        """

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> RecogniserStream:
        """A stream for one leg, whose transcripts are reported to ``sink``. Raises ``RequestRefused``."""


# The end of a turn


class TurnDetector(Engine, Protocol):
    """Hears whether a turn is over, besides what its words say. An agent can do without."""

    async def complete(self, samples: Samples) -> float:
        """How likely the turn is complete, 0 to 1, by its audio so far, the silence after it included.

        Any length; the last seconds count. Raises ``EngineError``.
        """


# Language


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool. ``arguments`` is what the tool's schema describes."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the model's context. An assistant's text is what the caller heard of it."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None  # of the call that a "tool" message answers


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it; ``parameters`` is a JSON Schema object."""

    name: str
    description: str
    parameters: dict[str, Any]
    writes: bool = True  # it changes something: never used before the caller's turn is over


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Some more of the reply's text, to be spoken."""

    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The model, or its server's filter, will not answer. ``text`` is the model's own word on it, not to be
    spoken."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Working:
    """The model is at work on what is not spoken: a thought, the arguments of a tool call."""


@dataclass(frozen=True, slots=True)
class Outage:
    """No model is left: what follows is from ``ReplyRequest.outage``."""


Delta: TypeAlias = TextDelta | ToolCall | Expectation | Refusal | Working | Outage
"""One step of a reply. An ``Expectation`` says what the reply asks the caller for."""


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """All that a model needs for the next reply. ``script`` is the agent's own, for scripted models.

    ``outage`` is what the caller hears when no model answers; ``None``: that is an error. ``said``: words of
    this reply that another model has given already. A model goes on after them; one that cannot says it all.
    """

    messages: Sequence[Message]
    tools: Sequence[ToolSpec] = ()
    script: Script = field(default_factory=Script)
    outage: Script | None = None
    said: str = ""


class LanguageModel(Engine, Protocol):
    """Streams replies. Keeps no state between requests: the messages are the state."""

    def reply(self, request: ReplyRequest) -> AsyncGenerator[Delta, None]:
        """The reply's deltas as they are made; ends after a reply or after its tool calls.

        Raises ``EngineError``. Closing the generator or cancelling the task stops the model.
        """


# Speech


Gender: TypeAlias = Literal["", "female", "male", "neutral"]


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice that an engine has. ``name`` is for ``VoiceSpec``; ``gender`` is empty where not known."""

    name: str
    language: str
    gender: Gender = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class VoiceSpec:
    """How to speak. ``name``: the engine's own name of a voice; empty: its best one of the language.

    ``rate`` and ``pitch`` are factors of the voice's normal ones. ``named``: pairs of an engine and its
    voice, for engines whose voice is not ``name``; in a list, ``name`` is meant for the first engine.
    """

    name: str = ""
    language: str = "en-US"
    rate: float = 1.0
    pitch: float = 1.0
    named: tuple[tuple[str, str], ...] = ()

    def of(self, engine: str, *, first: bool) -> VoiceSpec:
        """As this engine is to speak; ``first``: of its list."""
        return replace(self, name=dict(self.named).get(engine, self.name if first else ""))


@dataclass(frozen=True, slots=True)
class WordMark:
    """The word that begins at character ``char`` of the phrase begins at sample ``sample`` of its audio."""

    char: int
    sample: int


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """A piece of a phrase's audio with the words that begin in it, where the engine knows them."""

    samples: Samples
    words: tuple[WordMark, ...] = ()


class Synthesiser(Engine, Protocol):
    """Speaks phrases."""

    async def voices(self) -> Sequence[Voice]:
        """The voices to choose from. Raises ``EngineError``."""

    def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        """The phrase's audio as it is made. Closing the generator stops the engine at once.

        Raises ``EngineError``.
        """


# Translation


@dataclass(frozen=True, slots=True)
class Translated:
    """A phrase said before, and what it was translated to."""

    text: str
    translation: str


@dataclass(frozen=True, slots=True)
class TranslationRequest:
    """A phrase to be translated. Languages are BCP 47; ``earlier`` is the talk before it, oldest first.

    ``glossary``: pairs of a term and how it is to be translated; engines that cannot be told leave it.
    """

    text: str
    source: str
    target: str
    earlier: tuple[Translated, ...] = ()
    glossary: tuple[tuple[str, str], ...] = ()


class Translator(Engine, Protocol):
    """Translates phrases. Keeps no state between requests."""

    def translate(self, request: TranslationRequest) -> AsyncGenerator[str, None]:
        """The translation, in pieces as they are made; nothing for a text without words.

        Raises ``EngineError``. Closing the generator stops the engine.
        """
