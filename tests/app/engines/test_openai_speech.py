"""The connection of speech engines to servers of OpenAI's audio endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.engines.errors import EngineError, EngineUnavailable
from app.engines.openai_client import OpenAIEndpoint
from app.engines.openai_speech import SpeechServer
from tests.peers.openai_audio import Answer, OpenAIAudioServer

PATH = "/audio/speech"


@asynccontextmanager
async def connected(server: OpenAIAudioServer) -> AsyncIterator[SpeechServer]:
    async with server.running():
        speech = SpeechServer(OpenAIEndpoint("e", server.url, "", 5.0, "URL", "KEY", "MODEL"))
        await speech.start(PATH)
        yield speech
        await speech.close()


async def ask(speech: SpeechServer) -> bytes:
    async with speech.post(PATH, json={"input": "x"}) as response:
        return await response.aread()


@pytest.mark.parametrize("turns", range(12))
async def test_requests_end_with_the_connection_whenever_it_is_closed(turns: int) -> None:
    async with connected(OpenAIAudioServer(Answer([b"a", 5.0, b"b"]))) as speech:
        asked = [asyncio.create_task(ask(speech)) for _ in range(3)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await speech.close()
        async with asyncio.timeout(2):
            ends = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(end) for end in ends] == [EngineError] * 3
    with pytest.raises(EngineError, match="closed"):
        await ask(speech)


@pytest.mark.parametrize("body", [b"[" * 16_000, b'{"error":' * 4000, b"{", b"\xff", b"[]", b"null"])
async def test_an_error_may_say_anything(body: bytes) -> None:
    async with connected(OpenAIAudioServer(Answer([body], 400))) as speech:
        with pytest.raises(EngineError, match=r"answers 400$"):
            await ask(speech)


async def test_an_address_is_shown_without_its_password() -> None:
    async with OpenAIAudioServer(probe=Answer([], 404)).running() as server:
        url = server.url.replace("://", "://me:s3cret@")
        speech = SpeechServer(OpenAIEndpoint("e", url, "", 5.0, "URL", "KEY", "MODEL"))
        with pytest.raises(EngineUnavailable, match=f"{server.url}: the server answers 404") as refused:
            await speech.start(PATH)
    with pytest.raises(EngineUnavailable, match=f"{server.url}: no connection") as gone:
        await speech.start(PATH)
    assert "s3cret" not in f"{refused.value} {gone.value}"


async def test_an_answer_that_is_read_ends_with_the_connection() -> None:
    async with connected(OpenAIAudioServer(Answer([b"a", 5.0, b"b"]))) as speech:

        async def read() -> None:
            async with asyncio.timeout(2), speech.post(PATH, json={"input": "x"}) as response:
                async for _ in response.aiter_bytes():
                    await speech.close()

        with pytest.raises(EngineError):
            await read()
