"""Language models that fail as they are told to, and what calls get from a list of them."""

from __future__ import annotations

import asyncio
from typing import Any

from app.engines.errors import EngineError, EngineUnavailable
from app.engines.fallback.language_model import FallbackLanguageModel
from app.engines.llm.script import Intent, Script
from app.engines.ports import Delta, Message, Outage, ReplyRequest, TextDelta, ToolCall, ToolSpec
from config.engines import FallbackSettings
from tests.fakes.language_model import FakeLanguageModel, Step

WORDS = ("Your ", "parcel ", "is ", "out ", "for ", "delivery ", "today.")
SENTENCE = "".join(WORDS)
YES = Intent(phrases=("yes",), say="Bye.", then="transfer")
OUTAGE = Script(no_match=("I am sorry.",), intents={"yes": YES})
ASK = ReplyRequest((Message("user", "where is my parcel"),), outage=OUTAGE)
TRANSFER = ToolSpec("transfer_call", "", {})
END = ToolSpec("end_call", "", {})
TRANSFERRED = ("Bye.", 0.0, [ToolCall("transfer_call", "transfer_call", {})])
DOWN = EngineError("first", "down", retryable=False)
STALL = 99.0
SETTINGS = FallbackSettings(hedge=False)


class Model(FakeLanguageModel):
    """Knows the words that a reply must go on with."""

    def __init__(self, name: str, *replies: list[Step], otherwise: tuple[Step, ...] = WORDS) -> None:
        super().__init__(replies, otherwise)
        self.name = name
        self.unreachable = False

    async def start(self) -> None:
        if self.unreachable:
            raise EngineUnavailable(self.name, "no connection", retryable=True)


class GoesOn(Model):
    """Says the rest of the sentence."""

    def reply(self, request: ReplyRequest) -> Any:
        self.requests.append(request)
        return self._reply([SENTENCE[len(request.said) :]])


def failing(after: int, how: str) -> list[Step]:
    return [*WORDS[:after], STALL if how == "stall" else EngineError("first", "killed")]


async def collect(model: Any, request: ReplyRequest = ASK) -> tuple[str, float, list[Delta]]:
    """The text, the longest silence before a delta, and all else but what only says that it is an outage."""
    loop = asyncio.get_running_loop()
    text, longest, others, last = "", 0.0, [], loop.time()
    async for delta in model.reply(request):
        longest, last = max(longest, loop.time() - last), loop.time()
        if isinstance(delta, TextDelta):
            text += delta.text
        elif not isinstance(delta, Outage):
            others.append(delta)
    return text, longest, others


async def warmed(shared: FallbackLanguageModel) -> None:
    """As after a while of serving: how long a first token takes is known."""
    for candidate in shared.roster.candidates:
        candidate.started = True
        for _ in range(50):
            candidate.first.observe(0.1)
            candidate.gap.observe(0.05)
