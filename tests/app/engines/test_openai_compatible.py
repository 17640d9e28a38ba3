from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, cast

import pytest
from pydantic import SecretStr

from app.engines.errors import EngineError, EngineTimeout, EngineUnavailable
from app.engines.llm.openai_compatible import OpenAICompatible
from app.engines.ports import Delta, Message, ReplyRequest, TextDelta, ToolCall, ToolSpec
from config.settings import OpenAISettings

from .openai_server import DONE, OpenAIServer, chunk, tool_piece

KEY = "sk-very-secret"
ASK = ReplyRequest((Message("user", "Hello?"),))
Connect = Callable[..., AbstractAsyncContextManager[OpenAICompatible]]


@asynccontextmanager
async def connected(server: OpenAIServer, patience: float = 2.0) -> AsyncIterator[OpenAICompatible]:
    async with server.running():
        settings = OpenAISettings(
            base_url=server.url, api_key=SecretStr(KEY), model="m", timeout_seconds=patience
        )
        engine = OpenAICompatible(settings)
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()


async def reply(server: OpenAIServer, request: ReplyRequest = ASK, patience: float = 2.0) -> list[Delta]:
    async with connected(server, patience) as engine:
        return [delta async for delta in engine.reply(request)]


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


async def test_text_comes_token_by_token_over_the_warm_connection() -> None:
    server = OpenAIServer(
        [chunk("", role="assistant"), chunk("Good "), chunk("day."), chunk(finish="stop"), DONE]
    )
    async with connected(server) as engine:
        for _ in range(3):
            assert [delta async for delta in engine.reply(ASK)] == [TextDelta("Good "), TextDelta("day.")]
    assert server.connections == 1
    assert set(server.keys) == {f"bearer {KEY}"}


async def test_the_request_carries_messages_tools_and_settings() -> None:
    server = OpenAIServer([chunk("x", finish="stop"), DONE])
    call = ToolCall("c1", "look_up", {"key": "1"})
    request = ReplyRequest(
        (
            Message("system", "Be kind."),
            Message("user", "Where is it?"),
            Message("assistant", "", (call,)),
            Message("tool", '{"a": "b"}', tool_call_id="c1"),
            Message("assistant", ""),
        ),
        (ToolSpec("look_up", "Finds.", {"type": "object"}),),
    )
    await reply(server, request)
    (body,) = server.requests
    assert body["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Where is it?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"key": "1"}'}}
            ],
        },
        {"role": "tool", "content": '{"a": "b"}', "tool_call_id": "c1"},
    ]
    assert body["tools"][0]["function"] == {
        "name": "look_up", "description": "Finds.", "parameters": {"type": "object"},
    }  # fmt: skip
    assert (body["stream"], body["temperature"], body["max_tokens"]) == (True, 0.4, 200)


async def test_tool_calls_are_put_together_from_pieces_and_come_last() -> None:
    events = [
        chunk("One moment."),
        tool_piece(0, "", "look_up", "c1"),
        tool_piece(0, '{"table": "par'),
        tool_piece(1, "{}", "end_call", "c2"),
        tool_piece(0, 'cels"}'),
        chunk(finish="tool_calls"),
        DONE,
    ]
    assert await reply(OpenAIServer(events)) == [
        TextDelta("One moment."),
        ToolCall("c1", "look_up", {"table": "parcels"}),
        ToolCall("c2", "end_call", {}),
    ]


async def test_a_tool_call_without_id_gets_one() -> None:
    events = [tool_piece(0, "", "end_call"), chunk(finish="tool_calls"), DONE]
    assert await reply(OpenAIServer(events)) == [ToolCall("call-0", "end_call", {})]


@pytest.mark.parametrize("arguments", ["{", "[]", "3", "nonsense"])
async def test_arguments_that_are_no_object_are_an_error(arguments: str) -> None:
    with pytest.raises(EngineError, match="'look_up' with arguments") as caught:
        await reply(OpenAIServer([tool_piece(0, arguments, "look_up", "c"), chunk(finish="stop"), DONE]))
    assert caught.value.retryable


async def test_thoughts_are_not_spoken() -> None:
    events = [
        chunk(reasoning_content="Let me think."), chunk("<th"), chunk("ink>The caller"),
        chunk(" greets.</thi"), chunk("nk>\n"), chunk("Hello <"), chunk(finish="stop"), DONE,
    ]  # fmt: skip
    assert text_of(await reply(OpenAIServer(events))) == "Hello <"


@pytest.mark.parametrize(("status", "retryable", "words"), [
    (400, False, "answers 400: no such model"),
    (401, False, "refuses the key"),
    (403, False, "refuses the key"),
    (404, False, "answers 404"),
    (429, True, "rate or quota"),
    (500, True, "answers 500"),
    (503, True, "answers 503"),
])  # fmt: skip
async def test_a_refusal_says_whether_another_try_makes_sense(
    status: int, retryable: bool, words: str
) -> None:
    with pytest.raises(EngineError, match=words) as caught:
        await reply(OpenAIServer(status=status, error=f"no such model, {KEY}"))
    assert caught.value.retryable is retryable
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("event", [
    "{not json",
    '{"error": {"message": "overloaded"}}',
    b"data: \xff\xfe\n\n",
    '"text"',
    "[1, 2]",
    '{"choices": "x"}',
    '{"choices": [3]}',
    '{"choices": [{"delta": {"content": 3}}]}',
    "null",
])  # fmt: skip
async def test_what_is_no_chat_completion_is_an_error_not_a_crash(event: str | bytes) -> None:
    with pytest.raises(EngineError) as caught:
        await reply(OpenAIServer([chunk("Hel"), event]))
    assert caught.value.retryable


@pytest.mark.parametrize("broken", [False, True])
async def test_a_stream_that_ends_too_early_is_an_error_after_its_text(broken: bool) -> None:
    server = OpenAIServer([chunk("Good ")], broken=broken)
    async with connected(server) as engine:
        deltas = engine.reply(ASK)
        assert await anext(deltas) == TextDelta("Good ")
        with pytest.raises(EngineError) as caught:
            await anext(deltas)
    assert caught.value.retryable


@pytest.mark.parametrize("events", [[5.0], [chunk("Good "), 5.0]])
async def test_a_silent_server_is_a_timeout(events: list[str | float]) -> None:
    server = OpenAIServer(events)
    with pytest.raises(EngineTimeout, match=r"nothing from the server for 0\.2 s"):
        await reply(server, patience=0.2)
    async with asyncio.timeout(1):
        await server.disconnected.wait()


async def test_a_server_that_only_pings_is_a_timeout() -> None:
    with pytest.raises(EngineTimeout):
        await reply(OpenAIServer([b": ping\n\n", 0.15] * 20), patience=0.3)


async def test_a_cancelled_reply_closes_the_stream_at_once() -> None:
    server = OpenAIServer([chunk("Good "), 5.0])
    async with connected(server) as engine:
        started = asyncio.Event()

        async def consume() -> None:
            async for _ in engine.reply(ASK):
                started.set()

        task = asyncio.create_task(consume())
        await started.wait()
        task.cancel()
        async with asyncio.timeout(0.5):
            await server.disconnected.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_reply_that_is_closed_closes_the_stream_at_once() -> None:
    server = OpenAIServer([chunk("Good "), 5.0])
    async with connected(server) as engine:
        async with aclosing(cast(Any, engine.reply(ASK))) as deltas:
            assert await anext(deltas) == TextDelta("Good ")
        async with asyncio.timeout(0.5):
            await server.disconnected.wait()


@pytest.mark.parametrize("status", [404, 405, 500])
async def test_a_server_that_lists_no_models_is_good_enough(status: int) -> None:
    async with connected(OpenAIServer(models_status=status)):
        pass


@pytest.mark.parametrize(("settings", "words"), [
    (OpenAISettings(), "OPENAI__MODEL"),
    (OpenAISettings(model="m"), "OPENAI__API_KEY"),
    (OpenAISettings(model="m", base_url="http://127.0.0.1:9/v1"), "127.0.0.1:9/v1: no connection"),
])  # fmt: skip
async def test_what_is_missing_is_found_at_the_start(settings: OpenAISettings, words: str) -> None:
    with pytest.raises(EngineUnavailable, match=words):
        await OpenAICompatible(settings).start()


async def test_a_refused_key_is_found_at_the_start() -> None:
    with pytest.raises(EngineUnavailable, match="refuses the key"):
        async with connected(OpenAIServer(models_status=401)):
            pass


async def test_twenty_replies_at_once() -> None:
    server = OpenAIServer([chunk("a"), 0.05, chunk("b", finish="stop"), DONE])
    async with connected(server) as engine:

        async def one() -> str:
            return text_of([delta async for delta in engine.reply(ASK)])

        assert await asyncio.gather(*(one() for _ in range(20))) == ["ab"] * 20
    assert json.dumps(server.requests).count("Hello?") == 20
