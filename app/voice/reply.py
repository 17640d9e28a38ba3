"""One reply: model -> chunker -> speech -> leg. Cancelled as one task.

Three steps run side by side, joined by short queues: ``_think`` makes phrases, ``_speak`` their audio,
``_play`` hands it to the leg, at most ``lead_seconds`` ahead of what the caller hears. The small lead is
what makes a barge-in immediate and the heard text exact.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import structlog

from app.engines.errors import EngineError
from app.engines.llm.script import Script
from app.engines.ports import (
    Expectation,
    LanguageModel,
    Message,
    ReplyRequest,
    SpeechChunk,
    Synthesiser,
    TextDelta,
    ToolCall,
    VoiceSpec,
    WordMark,
)
from app.voice.chunker import Chunker, Phrase
from app.voice.latency import Timeline
from app.voice.playout import Playout
from app.voice.ports import AfterReply, Tool, ToolResult
from app.voice.transcript import Round, Turn
from app.voice.turn import Input
from telephony.media.frame import FRAME_SAMPLES, SAMPLE_RATE, Samples, silence
from telephony.ports import CallLeg

log = structlog.get_logger(__name__)

MESSAGE_SAMPLES = 5 * FRAME_SAMPLES
"""Samples handed to the leg at once: 100 ms. Smaller messages cost more and make carriers skip."""

_PHRASES = 2  # phrases that wait for speech
_PIECES = 16  # pieces of audio that wait to be played
_MAX_ROUNDS = 4  # requests to the model within one reply
_SOON = 0.001  # seconds; less is not worth a timer
_QUIET = 100  # a sample below this (-50 dBFS) at the start of a reply is not worth the caller's time


@dataclass(frozen=True, slots=True)
class Speaker:
    """What every reply of a call is made with."""

    language_model: LanguageModel
    synthesiser: Synthesiser
    voice: VoiceSpec
    script: Script
    tools: Mapping[str, Tool]
    leg: CallLeg
    lead_seconds: float
    clock: Callable[[], float]
    report: Callable[[Input, float | None], None]
    expect: Callable[[Expectation | None], None]
    note: Callable[[str, dict[str, str | int | float | bool]], None]


@dataclass(frozen=True, slots=True)
class _PhraseEnd:
    pass


_Audio: TypeAlias = Phrase | SpeechChunk | _PhraseEnd | None


class Reply:
    """The agent's side of one turn. ``run`` or ``say`` is its one task."""

    def __init__(self, turn: Turn, timeline: Timeline, playout: Playout, speaker: Speaker) -> None:
        self.turn = turn
        self.timeline = timeline
        self.playout = playout
        self.after = AfterReply.LISTEN
        self.fixed = False
        self.abandoned = False  # its task is being cancelled
        self.sent = False  # all of its audio was handed to the leg
        self._speaker = speaker
        self._phrases: asyncio.Queue[Phrase | None] = asyncio.Queue(_PHRASES)
        self._audio: asyncio.Queue[_Audio] = asyncio.Queue(_PIECES)

    async def answer(self, context: Callable[[], Sequence[Message]]) -> None:
        """Ask the model and speak what it says. ``context`` gives the messages, anew after each tool call."""
        await self._run(lambda: self._think(context))

    async def say(self, sentence: str) -> None:
        """Speak a fixed sentence."""
        self.fixed = True
        await self._run(lambda: self._recite(sentence))

    async def _run(self, text: Callable[[], Coroutine[None, None, None]]) -> None:
        try:
            async with asyncio.TaskGroup() as steps:
                steps.create_task(text())
                steps.create_task(self._speak())
                steps.create_task(self._play())
        except* EngineError as failure:
            for error in failure.exceptions:
                self._speaker.note("engine_failed", {"error": type(error).__name__})
                log.warning("reply failed", error=str(error))
            self._failed()
        except* Exception:  # the edge of the reply's task: a bug costs a reply, not the call
            log.exception("reply failed")
            self._failed()
        else:
            self.sent = True
            self._speaker.report(Input.REPLY_SENT, self.playout.ends_at(self._speaker.clock()))

    def _failed(self) -> None:
        if not self.abandoned:  # a failure on the way to being cancelled is nobody's concern
            self._speaker.report(Input.REPLY_FAILED, None)

    # Text

    async def _recite(self, sentence: str) -> None:
        now = self._speaker.clock()
        self.timeline.first_token = self.timeline.first_phrase = now
        await self._chunk(Chunker(), self.turn.rounds[-1], sentence, last=True)
        await self._phrases.put(None)

    async def _think(self, context: Callable[[], Sequence[Message]]) -> None:
        chunker = Chunker()
        for _ in range(_MAX_ROUNDS):
            part = self.turn.rounds[-1]
            await self._ask(context(), part, chunker)
            if not part.calls:
                break
            for call in part.calls:
                result = await self._use(call)
                part.results[call.id] = result.text
                if result.after is not AfterReply.LISTEN:
                    self.after = result.after
            if self.after is not AfterReply.LISTEN:
                break
            self.turn.heard_chars = sum(len(done.text) for done in self.turn.rounds)  # until known better
            self.turn.rounds.append(Round())
        else:
            self._speaker.note("too_many_tool_rounds", {"rounds": _MAX_ROUNDS})
        await self._phrases.put(None)

    async def _ask(self, messages: Sequence[Message], part: Round, chunker: Chunker) -> None:
        """One request: its text goes on to speech as it comes, its tool calls are kept in ``part``."""
        tools = tuple(tool.spec for tool in self._speaker.tools.values())
        request = ReplyRequest(messages, tools, self._speaker.script)
        async for delta in self._speaker.language_model.reply(request):
            match delta:
                case TextDelta(text):
                    if self.timeline.first_token is None:
                        self.timeline.first_token = self._speaker.clock()
                    await self._chunk(chunker, part, self._joined(part, text))
                case ToolCall():
                    part.calls.append(delta)
                case Expectation():
                    self._speaker.expect(delta)
        await self._chunk(chunker, part, "", last=True)

    def _joined(self, part: Round, text: str) -> str:
        """After a tool a model may begin as if anew: keep its words apart from those before."""
        before = "" if part.text or len(self.turn.rounds) == 1 else self.turn.rounds[-2].text
        apart = not before or before[-1].isspace() or text[:1].isspace()
        return text if apart else " " + text

    async def _chunk(self, chunker: Chunker, part: Round, text: str, *, last: bool = False) -> None:
        part.text += text
        phrases = chunker.feed(text) + (chunker.finish() if last else [])
        for phrase in phrases:
            if self.timeline.first_phrase is None:
                self.timeline.first_phrase = self._speaker.clock()
            await self._phrases.put(phrase)

    async def _use(self, call: ToolCall) -> ToolResult:
        tool = self._speaker.tools.get(call.name)
        known = tool is not None
        self._speaker.note("tool_called", {"tool": call.name if known else "unknown"})
        if tool is None:
            return ToolResult(
                f'{{"error": "there is no such tool; known are {", ".join(self._speaker.tools)}"}}'
            )
        return await tool.run(call.arguments)

    # Audio

    async def _speak(self) -> None:
        while (phrase := await self._phrases.get()) is not None:
            await self._audio.put(phrase)
            chunks = self._speaker.synthesiser.speak(phrase.text, self._speaker.voice)
            try:
                async for chunk in chunks:
                    if self.timeline.first_audio is None:
                        self.timeline.first_audio = self._speaker.clock()
                    await self._audio.put(chunk)
            finally:
                await chunks.aclose()
            await self._audio.put(_PhraseEnd())
        await self._audio.put(None)

    async def _play(self) -> None:
        waiting = silence(0)
        trimmed = 0  # samples of silence cut from the start of the reply
        while (item := await self._audio.get()) is not None:
            match item:
                case Phrase():
                    self.playout.begin_phrase(item.start, item.text)
                case SpeechChunk():
                    samples = item.samples
                    if self.playout.sent == 0 and not len(waiting):
                        samples = _without_lead(samples)
                        trimmed += len(item.samples) - len(samples)
                    self.playout.add_words(_earlier(item.words, trimmed))
                    waiting = np.concatenate((waiting, samples)) if len(waiting) else samples
                    first = self.playout.sent == 0  # the caller waits for it: one frame is enough
                    waiting = await self._send(waiting, FRAME_SAMPLES if first else MESSAGE_SAMPLES)
                case _PhraseEnd():
                    missing = -len(waiting) % FRAME_SAMPLES
                    await self._send(np.concatenate((waiting, silence(missing))), 1)
                    waiting, trimmed = silence(0), 0
                    self.playout.end_phrase()
        if self.playout.unmarked:
            self._speaker.leg.mark(self.playout.new_mark())

    async def _send(self, waiting: Samples, least: int) -> Samples:
        """Send whole frames while ``least`` samples wait, as the lead allows; give back the rest."""
        playout, speaker = self.playout, self._speaker
        while len(waiting) >= least:
            size = min(MESSAGE_SAMPLES, len(waiting) - len(waiting) % FRAME_SAMPLES)
            message, waiting = waiting[:size], waiting[size:]
            now = speaker.clock()
            while (excess := playout.lead(now) + len(message) / SAMPLE_RATE - speaker.lead_seconds) > _SOON:
                await asyncio.sleep(excess)
                now = speaker.clock()
            speaker.leg.play(message)
            playout.add_sent(len(message), now)
            if self.timeline.first_sent is None:
                self.timeline.first_sent = now
            if playout.mark_due():
                speaker.leg.mark(playout.new_mark())
            speaker.report(Input.REPLY_AUDIO, None)
        return waiting


def _without_lead(samples: Samples) -> Samples:
    """Without the silence before the first audible sample."""
    audible = np.flatnonzero(np.abs(samples.astype(np.int32)) >= _QUIET)
    return samples[audible[0] :] if len(audible) else samples[:0]


def _earlier(words: tuple[WordMark, ...], samples: int) -> tuple[WordMark, ...]:
    if not samples:
        return words
    return tuple(WordMark(word.char, max(0, word.sample - samples)) for word in words)
