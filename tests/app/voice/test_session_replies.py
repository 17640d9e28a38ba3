"""How replies are made: tools, speculation, sentences of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from app.engines.ports import Delta, ReplyRequest, TextDelta, ToolCall
from app.voice.ports import AfterReply, ToolResult
from app.voice.tools import EndCall
from tests.app.voice.conversation import (
    HEARD,
    Model,
    call,
    hear_reply,
    profile,
    until,
)
from tests.fakes.leg import FakeLeg


def test_a_tool_is_used_and_its_result_is_spoken() -> None:
    agent = profile(tables={"parcels": {"12345": {"state": "on its way"}}})
    lookup = ToolCall("1", "look_up", {"table": "parcels", "key": "12345"})
    model = Model([TextDelta("One moment."), lookup], [TextDelta("It is on its way.")])

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await hear_reply(leg)
        await leg.hear(3.0)

    _, recorder = call(caller, agent, model=model)
    (turn,) = recorder.turns
    assert turn.heard_text == "One moment. It is on its way."
    tool = [message for message in model.requests[1].messages if message.role == "tool"]
    assert [message.text for message in tool] == ['{"found":true,"state":"on its way"}']
    assert "tool_called" in recorder.notes


def test_a_model_is_closed_by_the_reply_that_the_caller_interrupts() -> None:
    class Closing(Model):
        tasks: list[Any] = []  # noqa: RUF012 - of the test's one call

        async def reply(self, request: ReplyRequest) -> AsyncGenerator[Delta, None]:
            self.tasks.append(asyncio.current_task())
            try:
                yield TextDelta("one two three four five six seven eight nine ten. ")
                while True:
                    yield TextDelta("Eleven twelve thirteen fourteen fifteen sixteen seventeen. ")
            finally:
                self.tasks.append(asyncio.current_task())

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await until(leg, leg.agent_talks)
        await leg.hear(1.0)
        await leg.say(1.0)
        await until(leg, leg.agent_talks)

    call(caller, model=Closing())
    assert len(Closing.tasks) == 4
    assert Closing.tasks[0] is Closing.tasks[1]
    assert Closing.tasks[2] is Closing.tasks[3]


def test_a_reply_is_begun_before_the_turn_is_surely_over_and_heard_only_then() -> None:
    model = Model([TextDelta("Here it is.")])

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await leg.hear(0.28)  # the final came, the turn is not over
        assert len(model.requests) == 1
        assert not leg.agent_talks()
        await hear_reply(leg)

    _, recorder = call(caller, model=model)
    (turn,) = recorder.turns
    assert turn.heard_text == "Here it is."
    assert turn.latency.response is not None
    assert turn.latency.response < 330
    assert len(model.requests) == 1
    (totals,) = [note.detail for note in recorder.noted("speculation")]
    assert totals == {"started": 1, "used": 1, "dropped": 0}


def test_a_speculation_is_dropped_when_the_caller_goes_on_and_few_are_made() -> None:
    once: list[Delta | Exception] = [TextDelta("Here it is.")]
    model = Model(once, once, once, once)

    async def caller(leg: FakeLeg) -> None:
        for _ in range(3):
            await leg.say(0.6)
            await leg.hear(0.26)
        await hear_reply(leg)

    _, recorder = call(caller, model=model)
    (turn,) = recorder.turns
    assert turn.caller_text == " ".join([HEARD] * 3)
    (totals,) = [note.detail for note in recorder.noted("speculation")]
    assert totals == {"started": 2, "used": 0, "dropped": 2}
    assert len(model.requests) == 3


def test_a_tool_that_writes_waits_for_the_end_of_the_turn() -> None:
    ran: list[float] = []

    class Booking(EndCall):
        async def run(self, arguments: dict[str, Any]) -> ToolResult:
            ran.append(asyncio.get_running_loop().time())
            return ToolResult("{}", AfterReply.HANG_UP)

    model = Model([ToolCall("1", "end_call", {}), TextDelta("Done.")])
    stopped: list[float] = []

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        stopped.append(asyncio.get_running_loop().time())
        await until(leg, lambda: False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.voice.tools.EndCall", Booking)
        call(caller, model=model)
    assert ran[0] - stopped[0] >= 0.28
