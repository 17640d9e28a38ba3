"""Agents tried as text, and clients that leave or stop reading in the middle of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from starlette.types import Message

from app.agents.schemas import TriedMessage
from app.agents.trying import TryingRoom
from app.errors import TooManyRequests
from app.rest.stream import EventStream, event
from app.voice.profile import AgentProfile
from tests.fakes.language_model import FakeLanguageModel

PROFILE = AgentProfile(name="desk")
HELLO = [TriedMessage(role="user", text="Hello?")]


async def test_who_leaves_ends_the_models_request_before_the_place_is_free() -> None:
    model = FakeLanguageModel(otherwise=("Well ", 30.0))
    room = TryingRoom(model, at_once=1)
    answer = room.answer(PROFILE, HELLO)
    assert (await anext(answer)).data == {"text": "Well "}
    assert model.running == 1
    with pytest.raises(TooManyRequests):
        await anext(room.answer(PROFILE, HELLO))
    await answer.aclose()
    assert model.running == 0
    async with aclosing(room.answer(PROFILE, HELLO)) as next_one:
        assert (await anext(next_one)).name == "text"


async def test_who_stops_reading_keeps_no_place_beyond_the_time_of_an_answer() -> None:
    model = FakeLanguageModel(otherwise=("Well ", 30.0))
    room = TryingRoom(model, at_once=1, seconds=0.1)

    async def events() -> AsyncGenerator[bytes, None]:
        async with aclosing(room.answer(PROFILE, HELLO)) as steps:
            async for step in steps:
                yield event(step.name, step.data)

    async def receive() -> Message:
        await asyncio.Event().wait()  # the client does not leave
        return {}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()  # and takes nothing

    async with asyncio.timeout(2):
        await EventStream(events())({"type": "http"}, receive, send)
    assert model.running == 0
    async with aclosing(room.answer(PROFILE, HELLO)) as next_one:
        assert (await anext(next_one)).name == "text"
