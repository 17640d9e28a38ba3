from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any, Literal, cast

import pytest
from pydantic import SecretStr

from app.engines.errors import EngineError
from app.engines.fallback.language_model import FallbackLanguageModel
from app.engines.llm.openai_compatible import OpenAICompatible
from app.engines.llm.script import Intent, Script
from app.engines.llm.scripted import ScriptedLanguageModel
from app.engines.llm.timed import TimedLanguageModel
from app.engines.ports import (
    Delta,
    Expectation,
    LanguageModel,
    Message,
    ReplyRequest,
    TextDelta,
    ToolCall,
    ToolSpec,
)
from config.engines import FallbackSettings, OpenAISettings, TimedSettings
from tests.contracts.probe import leaves_nothing, never_stalls, started
from tests.fakes.language_model import FakeLanguageModel
from tests.peers.apart import Addresses
from tests.peers.openai_server import DONE, OpenAIServer, chunk, tool_piece

SCRIPT = Script(
    intents={
        "hours": Intent(phrases=("opening hours",), say="We are open from nine to five."),
        "goodbye": Intent(phrases=("goodbye",), say="Goodbye.", then="hang_up"),
    }
)
END_CALL = ToolSpec("end_call", "Hang up.", {"type": "object", "properties": {}})
ROLES: tuple[Literal["user", "assistant"], ...] = ("user", "assistant")
EVENTS: list[str | float | bytes] = [
    chunk("We are "),
    0.01,
    chunk("open."),
    tool_piece(0, "{}", "end_call", "c1"),
    chunk(finish="stop"),
    DONE,
]
Make = Callable[[], AbstractAsyncContextManager[LanguageModel]]


@asynccontextmanager
async def openai() -> AsyncIterator[LanguageModel]:
    async with OpenAIServer(EVENTS).running() as server, started(openai_at(server.url)) as engine:
        yield engine


def openai_at(url: str) -> OpenAICompatible:
    return OpenAICompatible(OpenAISettings(base_url=url, api_key=SecretStr("k"), model="m"))


ENGINES: dict[str, Make] = {
    "openai_compatible": openai,
    "scripted": lambda: started(ScriptedLanguageModel()),
    "fallback": lambda: started(
        FallbackLanguageModel(
            [
                FakeLanguageModel(otherwise=(EngineError("fake", "told to fail"),)),
                FakeLanguageModel(otherwise=("Good ", 0.01, "day.", ToolCall("c1", "end_call", {}))),
            ],
            FallbackSettings(),
        )
    ),
    "timed": lambda: started(TimedLanguageModel(TimedSettings())),
    "fake": lambda: started(
        FakeLanguageModel(otherwise=("Good ", 0.01, "day.", ToolCall("c1", "end_call", {})))
    ),
}
APART: dict[str, Callable[[Addresses], LanguageModel]] = {"openai_compatible": lambda at: openai_at(at.chat)}
"""Engines of servers, which must not be in the loop that is measured."""


@pytest.fixture(params=ENGINES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(name: str) -> Make:
    return ENGINES[name]


@pytest.fixture
async def engine(make: Make) -> AsyncIterator[LanguageModel]:
    async with make() as engine:
        yield engine


def ask(text: str = "your opening hours and goodbye") -> ReplyRequest:
    messages = (Message("system", "Be kind."), Message("assistant", "Hello."), Message("user", text))
    return ReplyRequest(messages, (END_CALL,), SCRIPT)


async def collect(engine: LanguageModel, request: ReplyRequest) -> list[Delta]:
    return [delta async for delta in engine.reply(request)]


async def test_a_reply_is_text_then_tool_calls(engine: LanguageModel) -> None:
    deltas = await collect(engine, ask("goodbye"))
    texts = [index for index, delta in enumerate(deltas) if isinstance(delta, TextDelta)]
    calls = [index for index, delta in enumerate(deltas) if isinstance(delta, ToolCall)]
    assert texts
    assert all(index > max(texts) for index in calls)
    for delta in deltas:
        match delta:
            case TextDelta(text):
                assert text
            case ToolCall(call_id, name, arguments):
                assert call_id
                assert name == "end_call"
                assert isinstance(arguments, dict)
            case Expectation(kind):
                assert kind == "digits"


async def test_the_messages_are_all_the_state(engine: LanguageModel) -> None:
    first = await collect(engine, ask())
    await collect(engine, ask("something else"))
    assert await collect(engine, ask()) == first


@pytest.mark.parametrize("messages", [
    (Message("user", ""),),
    (Message("user", "a"), Message("user", "b")),
    (Message("user", "goodbye"), Message("assistant", ""), Message("user", "opening hours")),
    (
        Message("user", "x"),
        Message("assistant", "", (ToolCall("1", "look_up", {"key": "1"}),)),
        Message("tool", "null", tool_call_id="1"),
    ),
    (Message("tool", "an orphan", tool_call_id="9"), Message("user", "opening hours")),
])  # fmt: skip
async def test_any_conversation_is_answered(engine: LanguageModel, messages: tuple[Message, ...]) -> None:
    await collect(engine, ReplyRequest(messages, (END_CALL,), SCRIPT))


async def test_a_reply_that_another_model_has_begun_is_answered(engine: LanguageModel) -> None:
    assert await collect(engine, replace(ask(), said="We are"))


async def test_a_reply_may_be_closed_at_any_point(engine: LanguageModel) -> None:
    for taken in range(4):
        reply = cast(Any, engine.reply(ask()))
        for _ in range(taken):
            await anext(reply, None)
        await reply.aclose()
    assert await collect(engine, ask())


async def test_a_reply_may_be_cancelled_at_any_time(engine: LanguageModel) -> None:
    for after in (0.0, 0.001, 0.005, 0.02):
        task = asyncio.create_task(collect(engine, ask()))
        await asyncio.sleep(after)
        task.cancel()
        began = asyncio.get_running_loop().time()
        await asyncio.wait([task])
        assert asyncio.get_running_loop().time() - began < 0.1
    assert await collect(engine, ask())


async def test_a_reply_that_nobody_reads_is_nothing(engine: LanguageModel) -> None:
    await cast(Any, engine.reply(ask())).aclose()


async def test_twenty_replies_at_once(engine: LanguageModel) -> None:
    expected = await collect(engine, ask())
    assert await asyncio.gather(*(collect(engine, ask()) for _ in range(20))) == [expected] * 20


async def test_the_event_loop_goes_on(name: str, make: Make, addresses: Addresses) -> None:
    history = tuple(Message(role, "a sentence or two") for _ in range(20) for role in ROLES)
    request = ReplyRequest((*history, *ask().messages), (END_CALL,), SCRIPT)
    async with started(APART[name](addresses)) if name in APART else make() as engine:

        async def one(after: float) -> None:  # turns do not end in the same millisecond
            await asyncio.sleep(after)
            await collect(engine, request)

        async def work() -> None:
            await asyncio.gather(*(one(0.02 * number) for number in range(5)))

        await never_stalls(work)


async def test_nothing_is_left_after_close(make: Make) -> None:
    async def use() -> None:
        async with make() as engine:
            await collect(engine, ask())
            task = asyncio.create_task(collect(engine, ask()))
            await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.wait([task])

    await leaves_nothing(use)
