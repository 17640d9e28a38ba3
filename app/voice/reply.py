"""One reply: model -> chunker -> delivery. Cancelled as one task.

A speculative reply is ``held``: it thinks and prepares its audio, but nothing of it is heard, noted or
written before ``release``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing

import structlog

from app.engines.errors import EngineError
from app.engines.ports import Delta, Expectation, Message, Outage, Refusal, ReplyRequest, TextDelta, ToolCall
from app.metrics import OUTAGES
from app.voice.chunker import Chunker
from app.voice.delivery import Delivery
from app.voice.latency import Timeline
from app.voice.playout import Playout
from app.voice.ports import AfterReply, Tool, ToolResult
from app.voice.speaker import Detail, Speaker
from app.voice.transcript import Round, Turn
from app.voice.turn import Input

log = structlog.get_logger(__name__)

_MAX_ROUNDS = 4  # requests to the model within one reply
TOOL_SECONDS = 15.0
"""How long a tool may take, before the model is told that it failed."""


class Reply:
    """The agent's side of one turn. ``answer`` or ``say`` is its one task."""

    def __init__(
        self, turn: Turn, timeline: Timeline, playout: Playout, speaker: Speaker, *, held: bool = False
    ) -> None:
        self.turn = turn
        self.timeline = timeline
        self.playout = playout
        self.after = AfterReply.LISTEN
        self.fixed = False
        self.abandoned = False  # its task is being cancelled
        self.sent = False  # all of its audio was handed to the leg
        self.delivery = Delivery(speaker, playout, timeline, held=held)
        self._speaker = speaker
        self._released = asyncio.Event()
        self._effects: list[Callable[[], None]] = []  # that wait for the release
        self._failure = False
        self._late: asyncio.TimerHandle | None = None
        if not held:
            self._released.set()

    async def answer(self, context: Callable[[], Sequence[Message]]) -> None:
        """Ask the model and speak what it says. ``context`` gives the messages, anew after each tool call."""
        await self._run(lambda: self._think(context))

    async def say(self, sentence: str) -> None:
        """Speak a fixed sentence."""
        self.fixed = True
        await self._run(lambda: self._recite(sentence))

    def release(self) -> None:
        """The caller's turn is over: from now on the reply is heard and has effects."""
        self._released.set()
        self.delivery.release()
        for effect in self._effects:
            effect()
        self._effects.clear()

    @property
    def says(self) -> str:
        """The text so far."""
        return self.turn.reply_text

    @property
    def begun(self) -> bool:
        """The model has said something, or something is said in its place."""
        return self.delivery.phrases.used or bool(self.says)

    async def _run(self, text: Callable[[], Coroutine[None, None, None]]) -> None:
        try:
            async with asyncio.TaskGroup() as steps:
                steps.create_task(text())
                steps.create_task(self.delivery.run())
        except* EngineError as failure:
            for error in _leaves(failure):
                self._note("engine_failed", {"error": type(error).__name__})
                log.warning("reply failed", error=str(error))
            self._failed()
        except* Exception:  # the edge of the reply's task: a bug costs a reply, not the call
            log.exception("reply failed")
            self._failed()
        else:
            self.sent = True
            self._speaker.report(Input.REPLY_SENT, self.playout.ends_at(self._speaker.clock()))
        finally:
            if self._late is not None:
                self._late.cancel()

    def _failed(self) -> None:
        if not self.abandoned:  # a failure on the way to being cancelled is nobody's concern
            self._effect(lambda: self._speaker.report(Input.REPLY_FAILED, None))

    def _note(self, name: str, detail: Detail) -> None:
        self._effect(lambda: self._speaker.note(name, detail))

    def _effect(self, effect: Callable[[], None]) -> None:
        """Do it now, or once the reply is released."""
        if self._released.is_set():
            effect()
        else:
            self._effects.append(effect)

    # Text

    async def _recite(self, sentence: str) -> None:
        now = self._speaker.clock()
        self.timeline.first_token = self.timeline.first_phrase = now
        await self._chunk(self._chunker(), self.turn.rounds[-1], sentence, last=True)
        self.delivery.phrases.close()

    async def _think(self, context: Callable[[], Sequence[Message]]) -> None:
        chunker = self._chunker()
        for _ in range(_MAX_ROUNDS):
            part = self.turn.rounds[-1]
            await self._ask(context, part, chunker)
            if not part.calls:
                break
            for call in part.calls:
                result = await self._use(call, part)
                if result.after is not AfterReply.LISTEN:
                    self.after = result.after
            if self.after is not AfterReply.LISTEN:
                break
            self.turn.heard_chars = sum(len(done.text) for done in self.turn.rounds)  # until known better
            self.turn.rounds.append(Round())
        else:
            self._note("too_many_tool_rounds", {"rounds": _MAX_ROUNDS})
        self.delivery.phrases.close()

    async def _ask(self, context: Callable[[], Sequence[Message]], part: Round, chunker: Chunker) -> None:
        """One request: its text goes on to speech as it comes, its tool calls are kept in ``part``."""
        await self._speaker.running.settled()
        tools = tuple(tool.spec for tool in self._speaker.tools.values())
        request = ReplyRequest(context(), tools, self._speaker.script, self._speaker.outage)
        async with aclosing(self._speaker.language_model.reply(request)) as deltas:
            async for delta in deltas:
                await self._take(delta, part, chunker)
        await self._chunk(chunker, part, "", last=True)

    async def _take(self, delta: Delta, part: Round, chunker: Chunker) -> None:
        match delta:
            case TextDelta(text):
                await self._add(text, part, chunker)
            case ToolCall():
                part.calls.append(delta)
            case Refusal():
                self._note("model_refused", {})
                space = "" if not part.text or part.text[-1].isspace() else " "
                await self._add(space + self._speaker.refusal, part, chunker)
            case Outage():
                self._note("engine_outage", {"port": "llm"})
                self._effect(OUTAGES.inc)
            case Expectation():
                self._effect(lambda: self._speaker.expect(delta))

    async def _add(self, text: str, part: Round, chunker: Chunker) -> None:
        if self.timeline.first_token is None:
            self.timeline.first_token = self._speaker.clock()
        await self._chunk(chunker, part, self._joined(part, text))

    def _joined(self, part: Round, text: str) -> str:
        """After a tool a model may begin as if anew: keep its words apart from those before."""
        before = "" if part.text or len(self.turn.rounds) == 1 else self.turn.rounds[-2].text
        apart = not before or before[-1].isspace() or text[:1].isspace()
        return text if apart else " " + text

    # Phrases

    def _chunker(self) -> Chunker:
        return Chunker(self._speaker.phrasing, self._speaker.voice.language)

    async def _chunk(self, chunker: Chunker, part: Round, text: str, *, last: bool = False) -> None:
        part.text += text
        now = self._speaker.clock()
        phrases = chunker.feed(text, now) + (chunker.finish() if last else [])
        self._expect_more(chunker)
        for phrase in phrases:
            self._begins(now)
            await self.delivery.phrases.put(phrase)

    def _begins(self, now: float) -> None:
        if self.timeline.first_phrase is None:
            self.timeline.first_phrase = now

    def _expect_more(self, chunker: Chunker) -> None:
        """Speak what waits in the chunker, should the model let it wait too long."""
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if chunker.deadline is not None:
            loop = asyncio.get_running_loop()
            self._late = loop.call_at(chunker.deadline, self._overdue, chunker)

    def _overdue(self, chunker: Chunker) -> None:
        self._late = None
        now = self._speaker.clock()
        for phrase in chunker.overdue(now):
            self._begins(now)
            self.delivery.phrases.put_soon(phrase)
        self._expect_more(chunker)

    # Tools

    async def _use(self, call: ToolCall, part: Round) -> ToolResult:
        """Use a tool. Begun, it goes on when the caller interrupts: its result reaches the next reply."""
        tool = self._speaker.tools.get(call.name)
        if tool is None:
            self._note("tool_called", {"tool": "unknown"})
            known = ", ".join(self._speaker.tools)
            result = ToolResult(f'{{"error": "there is no such tool; known are {known}"}}')
            part.results[call.id] = result.text
            return result
        if tool.spec.writes:
            await self._released.wait()
            part.wrote = True
        self._note("tool_called", {"tool": call.name})
        return await asyncio.shield(self._speaker.running.start(self._finish(tool, call, part)))

    async def _finish(self, tool: Tool, call: ToolCall, part: Round) -> ToolResult:
        try:
            async with asyncio.timeout(TOOL_SECONDS):
                result = await tool.run(call.arguments)
        except Exception as error:  # noqa: BLE001 - the edge of a tool: the model is told, the call goes on
            log.warning("tool failed", tool=call.name, error=type(error).__name__)
            self._note("tool_failed", {"tool": call.name, "error": type(error).__name__})
            result = ToolResult('{"error": "the tool failed; say so and offer another way"}')
        part.results[call.id] = result.text
        return result


def _leaves(failure: BaseExceptionGroup[EngineError]) -> list[EngineError]:
    """The errors of a group and of the groups in it."""
    found: list[EngineError] = []
    for error in failure.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
