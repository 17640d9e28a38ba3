"""Trying an agent as text before it answers calls: the model, the messages and the tools of a call, no voice.

``look_up`` is really used; what would transfer or end the call is told, and not done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

from app.agents.schemas import TriedMessage
from app.engines.errors import EngineError
from app.engines.ports import (
    Expectation,
    LanguageModel,
    Refusal,
    ReplyRequest,
    TextDelta,
    ToolCall,
    ToolSpec,
)
from app.errors import TooManyRequests
from app.voice.ports import AfterReply
from app.voice.profile import AgentProfile
from app.voice.said import NOTHING, Said
from app.voice.tools import LookUp, tools_of
from app.voice.transcript import Round, Transcript, Turn

MOST_ROUNDS = 4  # requests to the model within one reply, as in a call
_AGAIN_SECONDS = 5.0
_NOT_DONE = '{"ok":true}'

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TryEvent:
    """One step of an answer.

    ``text``: some more of it. ``tool``: one that the model used. ``expects``: what it asks the caller for.
    ``done``: all of it, and what a call would do then. ``error``: it broke off; nothing follows.
    """

    name: Literal["text", "tool", "expects", "done", "error"]
    data: dict[str, Any]


@dataclass(slots=True)
class _Answer:
    """What has come of an answer."""

    began: float
    first: float | None = None
    then: AfterReply = AfterReply.LISTEN
    tools: list[str] = field(default_factory=list)


class TryingRoom:
    """Answers as text with the language model of this process: ``at_once`` at most, ``seconds`` each."""

    def __init__(
        self,
        language_model: LanguageModel,
        at_once: int = 4,
        seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._language_model = language_model
        self._at_once = at_once
        self._seconds = seconds
        self._clock = clock
        self._busy = 0

    async def answer(
        self, profile: AgentProfile, messages: Sequence[TriedMessage]
    ) -> AsyncGenerator[TryEvent, None]:
        """The agent's answer to the last message. To be read in one task, and closed there.

        Raises ``TooManyRequests`` while others try; ``EngineError`` where no model answers at all. What
        happens once it has begun is an event. A reader that is too slow when the time is over is cancelled.
        """
        if self._busy >= self._at_once:
            raise TooManyRequests(
                f"{self._at_once} others try agents now; try again in a moment", _AGAIN_SECONDS
            )
        self._busy += 1
        begun = False
        try:
            async with asyncio.timeout(self._seconds), aclosing(self._reply(profile, messages)) as events:
                async for event in events:
                    begun = True
                    yield event
        except TimeoutError:
            yield TryEvent("error", {"problem": f"the answer took longer than {self._seconds:.0f} s"})
        except EngineError as error:
            if not begun:
                raise
            _log.warning("an agent that was tried broke off", agent=profile.name, error=str(error))
            yield TryEvent("error", {"problem": "the language model broke off; see the server's log"})
        finally:
            self._busy -= 1

    async def _reply(
        self, profile: AgentProfile, messages: Sequence[TriedMessage]
    ) -> AsyncGenerator[TryEvent, None]:
        transcript = Transcript(profile.instructions)
        turn = _turns(transcript, messages)
        tools, looking_up = _tools(profile)
        answer = _Answer(self._clock())
        for _ in range(MOST_ROUNDS):
            part = turn.rounds[-1]
            request = ReplyRequest(transcript.messages(turn), tools, profile.script)
            async with aclosing(self._ask(profile, request, part, answer)) as events:
                async for event in events:
                    yield event
            for call in part.calls:
                answer.tools.append(call.name)
                part.results[call.id], then = await _use(call, looking_up)
                answer.then = answer.then if then is AfterReply.LISTEN else then
                yield TryEvent(
                    "tool", {"name": call.name, "arguments": call.arguments, "result": part.results[call.id]}
                )
            if not part.calls or answer.then is not AfterReply.LISTEN:
                break
            turn.heard_chars = sum(len(done.text) for done in turn.rounds)
            turn.rounds.append(Round())
        yield TryEvent("done", self._summary(turn, answer))

    async def _ask(
        self, profile: AgentProfile, request: ReplyRequest, part: Round, answer: _Answer
    ) -> AsyncGenerator[TryEvent, None]:
        """One request to the model; its tool calls are kept in ``part``."""
        async with aclosing(self._language_model.reply(request)) as deltas:
            async for delta in deltas:
                match delta:
                    case TextDelta(text):
                        answer.first = self._clock() if answer.first is None else answer.first
                        part.text += text
                        yield TryEvent("text", {"text": text})
                    case Refusal():
                        part.text += profile.says.refusal
                        yield TryEvent("text", {"text": profile.says.refusal})
                    case ToolCall():
                        part.calls.append(delta)
                    case Expectation(kind, length):
                        yield TryEvent("expects", {"kind": kind, "length": length})

    def _summary(self, turn: Turn, answer: _Answer) -> dict[str, Any]:
        first = None if answer.first is None else round((answer.first - answer.began) * 1000)
        return {
            "text": turn.reply_text,
            "then": answer.then.value,
            "tools": answer.tools,
            "first_token_ms": first,
            "milliseconds": round((self._clock() - answer.began) * 1000),
        }


def _turns(transcript: Transcript, messages: Sequence[TriedMessage]) -> Turn:
    """The messages as the turns of a call; the last one is open."""
    turn: Turn | None = None
    for message in messages:
        if message.role == "user":
            turn = transcript.open_turn(Said(message.text))
            continue
        if turn is None or turn.reply_text:
            turn = transcript.open_turn(NOTHING)
        turn.rounds[-1].text = message.text
        turn.heard_chars = len(message.text)
    if turn is None or turn.reply_text:
        raise ValueError("the last message must be the caller's")
    return turn


def _tools(profile: AgentProfile) -> tuple[list[ToolSpec], LookUp | None]:
    found = tools_of(profile)
    looking_up = found.get("look_up")
    return [tool.spec for tool in found.values()], looking_up if isinstance(looking_up, LookUp) else None


async def _use(call: ToolCall, looking_up: LookUp | None) -> tuple[str, AfterReply]:
    if call.name == "look_up" and looking_up is not None:
        result = await looking_up.run(call.arguments)
        return result.text, result.after
    then = {"transfer_call": AfterReply.TRANSFER, "end_call": AfterReply.HANG_UP}
    return _NOT_DONE, then.get(call.name, AfterReply.LISTEN)
