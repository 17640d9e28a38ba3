from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr

from app.engines.errors import EngineError, EngineTimeout, EngineUnavailable, RequestRefused
from app.engines.fallback.language_model import FallbackLanguageModel
from app.engines.llm.openai_compatible import OpenAICompatible
from app.engines.ports import Delta, Message, Refusal, ReplyRequest, TextDelta, ToolCall, ToolSpec, Working
from config.engines import FallbackSettings, OpenAISettings
from tests.app.engines.fallback.models import OUTAGE, Model
from tests.contracts.probe import never_stalls
from tests.peers.http_server import Client
from tests.peers.openai_server import BREAK, DONE, OpenAIServer, chunk, tool_piece

KEY = "sk-very-secret"
ASK = ReplyRequest((Message("user", "Hello?"),))


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
    """What is reported of the reply, besides that the model works."""
    async with connected(server, patience) as engine:
        return [delta async for delta in engine.reply(request) if not isinstance(delta, Working)]


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


YES = [chunk("Yes.", finish="stop"), DONE]
PRIVATE = "my number is 5551234"


class Filtering(OpenAIServer):
    """Refuses what contains ``filtered``; with ``streamed``, in a stream."""

    filtered = PRIVATE
    refusal = 400
    streamed = False

    async def complete(self, client: Client) -> None:
        refused = self.filtered in json.dumps(self.requests[-1]["messages"])
        error = f"refused: {PRIVATE}"
        self.status, self.error = self.refusal if refused and not self.streamed else 200, error
        report = json.dumps({"error": {"message": error, "code": str(self.refusal)}})
        self.events = [chunk("Hm. "), report] if refused else YES
        await super().complete(client)


def asking(words: str) -> ReplyRequest:
    return ReplyRequest((Message("user", words),), outage=OUTAGE)


@asynccontextmanager
async def listed(server: OpenAIServer, *others: Model) -> AsyncIterator[FallbackLanguageModel]:
    async with server.running():
        engine = OpenAICompatible(OpenAISettings(base_url=server.url, model="m"))
        shared = FallbackLanguageModel([engine, *others], FallbackSettings(hedge=False))
        try:
            await shared.start()
            yield shared
        finally:
            await shared.close()


def refusals() -> float:
    labels = {"port": "llm", "engine": "openai_compatible", "reason": "refused"}
    return REGISTRY.get_sample_value("trunkline_engine_failures_total", labels) or 0.0


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refused_request_is_its_calls_fault_and_is_not_quoted(status: int, streamed: bool) -> None:
    server = Filtering()
    server.refusal, server.streamed = status, streamed
    async with connected(server) as engine:
        assert text_of([delta async for delta in engine.reply(ASK)]) == "Yes."
        with pytest.raises(RequestRefused, match=str(status)) as caught:
            _ = [delta async for delta in engine.reply(asking(f"Hi, {PRIVATE}."))]
    assert "5551234" not in str(caught.value)


async def test_one_callers_refused_requests_cost_no_other_call_the_model() -> None:
    before = refusals()
    async with listed(Filtering()) as shared:
        for _ in range(5):
            deltas = [delta async for delta in shared.for_call(lambda *_: None).reply(asking(PRIVATE))]
            assert text_of(deltas) == "I am sorry."
        assert text_of([delta async for delta in shared.reply(asking("Hello?"))]) == "Yes."
        assert shared.standings[0].state == "closed"
    assert refusals() - before == 5


@pytest.mark.parametrize("others", [0, 1])
async def test_a_server_that_comes_to_refuse_every_request_leaves_no_caller_without_words(
    others: int,
) -> None:
    server = Filtering()
    before = refusals()
    async with listed(
        server, *(Model("second", otherwise=("I am second.",)) for _ in range(others))
    ) as shared:
        server.filtered = ""
        for _ in range(5):
            deltas = [delta async for delta in shared.for_call(lambda *_: None).reply(asking("Hello?"))]
            assert text_of(deltas) == ("I am second." if others else "I am sorry.")
    assert refusals() - before == 5


async def test_a_parameter_that_the_server_refuses_is_found_at_the_start() -> None:
    server = OpenAIServer(status=400, error="Unsupported parameter: 'max_tokens'")
    with pytest.raises(EngineUnavailable, match="answers 400: Unsupported parameter: 'max_tokens'"):
        async with listed(server):
            pass


async def test_what_was_sent_is_not_quoted_whatever_the_server_fails_with() -> None:
    for server in (
        OpenAIServer(status=500, error=f"cannot parse {PRIVATE.upper()}"),
        OpenAIServer([json.dumps({"error": {"message": f"cannot parse {PRIVATE}"}})]),
    ):
        with pytest.raises(EngineError) as caught:
            await reply(server, asking(f"Hi, {PRIVATE}."))
        assert "5551234" not in str(caught.value)


@pytest.mark.parametrize("event", [
    "{not json",
    '{"error": {"message": "overloaded"}}',
    b"data: \xff\xfe\n\n",
    '"text"',
    "[1, 2]",
    "[" * 100_000,
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


@pytest.mark.parametrize("turns", range(12))
async def test_replies_end_with_the_engine_whenever_it_is_closed(turns: int) -> None:
    async with connected(OpenAIServer([chunk("Good "), 5.0])) as engine:

        async def one() -> None:
            _ = [delta async for delta in engine.reply(ASK)]

        replies = [asyncio.create_task(one()) for _ in range(3)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await engine.close()
        async with asyncio.timeout(1):
            ends = await asyncio.gather(*replies, return_exceptions=True)
        assert [type(end) for end in ends] == [EngineError] * 3
        with pytest.raises(EngineError, match="not started, or closed"):
            await one()


async def test_starting_does_not_stop_the_loop() -> None:
    engine = OpenAICompatible(OpenAISettings(base_url="http://127.0.0.1:9/v1", model="m"))

    async def start() -> None:
        await asyncio.sleep(0.01)  # the loop is watched by now
        with pytest.raises(EngineUnavailable):
            await engine.start()

    await never_stalls(start)


async def test_twenty_replies_at_once() -> None:
    server = OpenAIServer([chunk("a"), 0.05, chunk("b", finish="stop"), DONE])
    async with connected(server) as engine:

        async def one() -> str:
            return text_of([delta async for delta in engine.reply(ASK)])

        assert await asyncio.gather(*(one() for _ in range(20))) == ["ab"] * 20
    assert json.dumps(server.requests).count("Hello?") == 20


async def test_work_that_is_not_spoken_shows_that_the_model_lives() -> None:
    events = [chunk(reasoning_content="Hm."), chunk("<think>x</think>"), tool_piece(0, "{}", "end_call", "c")]
    async with connected(OpenAIServer([*events, chunk(finish="stop"), DONE])) as engine:
        deltas = [delta async for delta in engine.reply(ASK)]
    assert deltas == [Working(), Working(), Working(), ToolCall("c", "end_call", {})]


async def test_a_refusal_is_told_and_not_spoken() -> None:
    events = [chunk(refusal="I can"), chunk(refusal="not."), chunk(finish="stop"), DONE]
    assert await reply(OpenAIServer(events)) == [Refusal("I cannot.")]
    events = [chunk("It is "), chunk(finish="content_filter"), DONE]
    assert await reply(OpenAIServer(events)) == [TextDelta("It is "), Refusal("")]


async def test_a_model_that_only_thinks_is_an_error_that_names_the_setting() -> None:
    events = [chunk("<think>and so on"), chunk(finish="length"), DONE]
    with pytest.raises(EngineError, match="OPENAI__MAX_TOKENS"):
        await reply(OpenAIServer(events))


async def test_a_tool_call_in_the_text_is_a_tool_call() -> None:
    events = [chunk('<tool_call>{"name": "look_up", "arguments": {"key": "1"}}'), chunk("</tool_call>")]
    assert await reply(OpenAIServer([*events, chunk(finish="stop"), DONE])) == [
        ToolCall("call-0", "look_up", {"key": "1"})
    ]
    with pytest.raises(EngineError, match="no JSON with a name"):
        await reply(OpenAIServer([chunk("<tool_call>look up</tool_call>"), chunk(finish="stop"), DONE]))


@pytest.mark.parametrize("index", ["0", {}, [0], 1.5, None, True, -1])
async def test_the_index_of_a_tool_call_may_be_anything(index: Any) -> None:
    piece = {"index": index, "id": "c", "function": {"name": "look_up", "arguments": "{}"}}
    written = chunk('<tool_call>{"name": "end_call"}</tool_call>', finish="stop")
    calls = await reply(OpenAIServer([chunk(tool_calls=[piece]), written, DONE]))
    assert [call.name for call in calls if isinstance(call, ToolCall)] == ["look_up", "end_call"]


@pytest.mark.parametrize("events", [
    [chunk("<tool_call>" + "[" * 20_000, finish="stop"), DONE],
    [tool_piece(0, "[" * 20_000, "look_up", "c"), chunk(finish="stop"), DONE],
])  # fmt: skip
async def test_a_tool_call_without_an_end_is_an_error(events: list[str]) -> None:
    with pytest.raises(EngineError, match="no JSON"):
        await reply(OpenAIServer(events))


@pytest.mark.parametrize("status", [400, 500])
async def test_an_error_may_say_anything(status: int) -> None:
    class Nested(OpenAIServer):
        def _answer(self, writer: asyncio.StreamWriter, status: int, body: Any) -> None:
            data = b"[" * 100_000  # more than Python nests
            head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
            writer.write(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)

    with pytest.raises(EngineError, match=f"answers {status}"):
        await reply(Nested(status=status))


STREAM = (
    chunk("<think>Él quiere"),
    chunk(" la hora</think>Ya "),
    chunk("está. "),
    chunk(refusal="Ño."),
    tool_piece(0, '{"a": "ü', "end_call", "c1"),
    tool_piece(0, '"}'),
    chunk('<tool_call>{"name": "x"}</tool_call>'),
    chunk(finish="stop"),
    DONE,
)


async def test_a_stream_may_be_cut_at_every_byte() -> None:
    """What is not to be spoken never is, and nothing is lost, wherever the network cuts."""
    raw = "".join(f"data: {json.dumps(json.loads(e), ensure_ascii=False)}\n\n" for e in STREAM[:-1])
    whole = raw.encode() + b"data: [DONE]\n\n"
    server = OpenAIServer()
    async with connected(server) as engine:
        cuts: list[list[bytes]] = [[whole[:n], whole[n:]] for n in range(1, len(whole))]
        for pieces in (*cuts, [bytes([byte]) for byte in whole]):
            server.events = pieces
            found = [delta async for delta in engine.reply(ASK) if not isinstance(delta, Working)]
            assert text_of([delta for delta in found if isinstance(delta, TextDelta)]) == "Ya está. "
            assert found[-3:] == [
                Refusal("Ño."),
                ToolCall("c1", "end_call", {"a": "ü"}),
                ToolCall("call-1", "x", {}),
            ]


def tokens(kind: str) -> float:
    return (
        REGISTRY.get_sample_value(
            "trunkline_language_model_tokens_total", {"engine": "openai_compatible", "kind": kind}
        )
        or 0.0
    )


USAGE = {"prompt_tokens": 120, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 100}}


async def test_tokens_are_counted() -> None:
    counts = {"choices": [], "usage": USAGE | {"total_tokens": 127}}
    server = OpenAIServer([chunk("Yes."), chunk(finish="stop"), json.dumps(counts), DONE])
    before = [tokens(kind) for kind in ("prompt", "cached", "completion")]
    assert text_of(await reply(server)) == "Yes."
    assert server.requests[0]["stream_options"] == {"include_usage": True}
    after = [tokens(kind) for kind in ("prompt", "cached", "completion")]
    assert [late - early for early, late in zip(before, after, strict=True)] == [120, 100, 7]


async def test_tokens_that_each_chunk_counts_are_counted_once() -> None:
    """Also where the caller cuts the reply off."""
    each = [
        json.dumps(json.loads(chunk("a")) | {"usage": USAGE | {"completion_tokens": number}})
        for number in (1, 2, 3)
    ]
    before = [tokens(kind) for kind in ("prompt", "cached", "completion")]
    assert text_of(await reply(OpenAIServer([*each, chunk(finish="stop"), DONE]))) == "aaa"
    after = [tokens(kind) for kind in ("prompt", "cached", "completion")]
    assert [late - early for early, late in zip(before, after, strict=True)] == [120, 100, 3]
    async with (
        connected(OpenAIServer([*each, 5.0])) as engine,
        aclosing(cast(Any, engine.reply(ASK))) as deltas,
    ):
        assert await anext(deltas) == TextDelta("a")
    assert tokens("prompt") - after[0] == 120


@pytest.mark.parametrize("number", [-1, 10**400, 1e400, "7", None])
async def test_a_count_of_tokens_may_be_anything(number: Any) -> None:
    counts = {"choices": [], "usage": {"prompt_tokens": number, "completion_tokens": 7}}
    before = tokens("completion")
    server = OpenAIServer([chunk("Yes."), chunk(finish="stop"), json.dumps(counts), DONE])
    assert text_of(await reply(server)) == "Yes."
    assert tokens("completion") - before == 7


async def test_a_finished_reply_waits_for_no_count_of_tokens() -> None:
    server = OpenAIServer([chunk("Yes.", finish="stop"), 5.0])
    async with asyncio.timeout(2):
        assert text_of(await reply(server)) == "Yes."
    assert text_of(await reply(OpenAIServer([chunk("Yes.", finish="stop"), BREAK]))) == "Yes."


async def test_a_server_that_knows_no_extras_is_asked_without() -> None:
    class Plain(OpenAIServer):
        async def complete(self, client: Client) -> None:
            self.status = 400 if "stream_options" in self.requests[-1] else 200
            await super().complete(client)

    server = Plain([chunk("Yes.", finish="stop"), DONE])
    async with connected(server) as engine:

        async def one() -> str:
            return text_of([delta async for delta in engine.reply(ASK)])

        assert await asyncio.gather(*(one() for _ in range(2))) == ["Yes.", "Yes."]
        assert await one() == "Yes."
    asked = ["stream_options" in request for request in server.requests]
    assert sorted(asked) == [False, False, False, True, True]
    assert not asked[-1]


async def test_a_refusal_for_another_reason_ends_no_counting_of_tokens() -> None:
    server = OpenAIServer([chunk("Yes.", finish="stop"), DONE], status=400, error="context too long")
    async with connected(server) as engine:
        with pytest.raises(EngineError, match="context too long"):
            _ = [delta async for delta in engine.reply(ASK)]
        server.status = 200
        assert text_of([delta async for delta in engine.reply(ASK)]) == "Yes."
    assert "stream_options" in server.requests[-1]
