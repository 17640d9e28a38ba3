"""The engines of a call, told by its scenario what to hear, think and say, and watched while they do."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from app.engines.errors import EngineError
from app.engines.ports import (
    UNCLEAR,
    Delta,
    Expectation,
    Message,
    RecognitionHints,
    ReplyRequest,
    SpeechChunk,
    TextDelta,
    ToolCall,
    Transcript,
    VadStream,
    Voice,
    VoiceActivity,
    VoiceActivityDetector,
    VoiceSpec,
    WordMark,
)
from telephony.media.frame import SAMPLE_RATE, Samples
from tests.scenarios import sounds
from tests.scenarios.scenario import Ask, Fail, ModelStep, ToldRecogniser, ToldVoice, Use

SECONDS_A_CHARACTER = 0.055
"""How fast the agent speaks: about eleven characters in 0.6 s."""

OTHERWISE: Sequence[ModelStep] = ("All right.",)
"""What the model says in a turn that the scenario does not mention."""

_BEFORE_ONSET = 0.45  # seconds of audio before the first push that a segment may begin with
_PIECE = SAMPLE_RATE // 10


class _Engine:
    name = "told"

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class WatchedDetector(_Engine):
    """Another detector, whose windows are written down as (seconds of the line, probability)."""

    def __init__(self, detector: VoiceActivityDetector) -> None:
        self._detector = detector
        self.windows: list[tuple[float, float]] = []

    def open(self, sink: Callable[[VoiceActivity], None]) -> VadStream:
        def watched(window: VoiceActivity) -> None:
            self.windows.append((window.end / SAMPLE_RATE, window.probability))
            sink(window)

        return self._detector.open(watched)


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word of the caller's and when it was out, in seconds of the line."""

    text: str
    end: float


class SharedEar:
    """What the caller has said, for the recogniser: the words, each once, by the time they were out."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._words: deque[SpokenWord] = deque()

    def speak(self, text: str, begin: float, end: float) -> None:
        """The caller says a text evenly from ``begin`` to ``end``."""
        words = text.split()
        self._words.extend(
            SpokenWord(word, begin + (end - begin) * (number + 1) / len(words))
            for number, word in enumerate(words)
        )

    def skip_until(self, time: float) -> None:
        """Whatever was out before went unheard."""
        while self._words and self._words[0].end < time:
            self._words.popleft()

    def hear(self, before: float = 0.0) -> list[str]:
        """The words that have come out since, removed, up to so many seconds ago."""
        heard, now = [], self.now() - before
        while self._words and self._words[0].end <= now:
            heard.append(self._words.popleft().text)
        return heard


class ToldRecogniserEngine(_Engine):
    """Hears the caller's words as they come out, in whatever segments it is given."""

    def __init__(self, told: ToldRecogniser, ear: SharedEar) -> None:
        self._told = told
        self._ear = ear

    async def prepare(self, hints: RecognitionHints) -> None: ...

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> ToldRecogniserStream:
        return ToldRecogniserStream(self._told, self._ear, sink)


class ToldRecogniserStream:
    """The recogniser of one leg."""

    def __init__(self, told: ToldRecogniser, ear: SharedEar, sink: Callable[[Transcript], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._told = told
        self._ear = ear
        self._sink: Callable[[Transcript], None] | None = sink
        self._words: list[str] = []
        self._in_segment = False
        self._answers: deque[Transcript] = deque()

    def push(self, samples: Samples) -> None:
        if not self._in_segment:
            self._in_segment = True
            self._ear.skip_until(self._ear.now() - _BEFORE_ONSET)
        more = self._ear.hear(self._told.interim_after)
        self._words += more
        if more and self._told.interims == "normal" and UNCLEAR not in self._words:
            self._loop.call_soon(self._report, Transcript(" ".join(self._words), final=False))

    def finish_segment(self) -> None:
        words = [*self._words, *self._ear.hear()]
        self._words, self._in_segment = [], False
        if self._told.finals == "lost":
            return
        text = "" if self._told.finals == "empty" else " ".join(words)
        self._answers.append(Transcript(text, final=True, confidence=1.0))
        self._loop.call_later(self._told.final_after, self._answer)

    def expect(self, expectation: Expectation | None) -> None: ...

    async def close(self) -> None:
        self._sink = None

    def _answer(self) -> None:
        self._report(self._answers.popleft())

    def _report(self, transcript: Transcript) -> None:
        if self._sink is not None:
            self._sink(transcript)


class ToldLanguageModel(_Engine):
    """Says the n-th of ``turns`` to the caller's n-th turn, whatever requests that takes.

    A tool call ends a request; what follows it in the turn answers the tool's result.
    """

    def __init__(self, turns: Sequence[Sequence[ModelStep]], now: Callable[[], float]) -> None:
        self._turns = [_rounds(turn) for turn in turns]
        self._now = now
        self.requests: list[tuple[float, ReplyRequest]] = []

    def reply(self, request: ReplyRequest) -> AsyncGenerator[Delta, None]:
        self.requests.append((self._now(), request))
        turn, used = place_of(request.messages)
        rounds = self._turns[turn - 1] if 0 < turn <= len(self._turns) else [list(OTHERWISE)]
        return self._say(rounds[used] if used < len(rounds) else ())

    async def _say(self, steps: Sequence[ModelStep]) -> AsyncGenerator[Delta, None]:
        for number, step in enumerate(steps):
            match step:
                case str():
                    yield TextDelta(step)
                case float():
                    await asyncio.sleep(step)
                case Fail():
                    raise EngineError(self.name, "told to fail")
                case Use(tool, arguments):
                    yield ToolCall(f"call-{number}", tool, dict(arguments))
                case Ask(length):
                    yield Expectation("digits", length)


def place_of(messages: Sequence[Message]) -> tuple[int, int]:
    """Which turn of the caller's, from 1, a request answers, and how many tool calls it has made in it."""
    turns = [index for index, message in enumerate(messages) if message.role == "user"]
    since = messages[turns[-1] :] if turns else messages
    return len(turns), sum(bool(message.tool_calls) for message in since)


def _rounds(turn: Sequence[ModelStep]) -> list[list[ModelStep]]:
    rounds: list[list[ModelStep]] = [[]]
    for step in turn:
        rounds[-1].append(step)
        if isinstance(step, Use):
            rounds.append([])
    return rounds


class ToldSynthesiser(_Engine):
    """Speaks every phrase with a voice of its own, at ``SECONDS_A_CHARACTER``, with exact marks."""

    def __init__(self, told: ToldVoice) -> None:
        self._told = told

    async def voices(self) -> tuple[Voice, ...]:
        return ()

    async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        await asyncio.sleep(self._told.first_audio_after)
        if self._told.fails:
            raise EngineError(self.name, "told to fail")
        if self._told.silent:
            return
        a_character = SECONDS_A_CHARACTER * SAMPLE_RATE
        seconds = len(phrase.strip()) * SECONDS_A_CHARACTER
        hums = self._told.hums
        audio = sounds.hum(seconds) if hums else sounds.speech(seconds, "agent", phrase)
        marks = [
            WordMark(word.start(), round(word.start() * a_character)) for word in re.finditer(r"\S+", phrase)
        ]
        for begin in range(0, len(audio), _PIECE):
            words = tuple(mark for mark in marks if begin <= mark.sample < begin + _PIECE)
            yield SpeechChunk(audio[begin : begin + _PIECE], words)
            await asyncio.sleep(0.005)
