"""A scenario in virtual time: no socket, no database; Twilio's messages go from hand to hand."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.websockets import WebSocket

from telephony.carriers.twilio.leg import SocketLimits, TwilioLeg
from telephony.carriers.twilio.protocol import MediaStream
from telephony.ports import LegInfo
from telephony.simulator.phone import Phone
from telephony.simulator.wire import StreamWriter
from tests.fakes.clock import run_virtual
from tests.fakes.detector import FakeDetector
from tests.scenarios.booking import every_agent_books
from tests.scenarios.faults import ErrorLog, watched_log
from tests.scenarios.scenario import Scenario
from tests.scenarios.stage import Stage
from tests.scenarios.took import Took

LONGEST = 600.0
_LIMITS = SocketLimits(messages_per_second=500, start_seconds=10.0, idle_seconds=30.0, send_seconds=5.0)


def hold(scenario: Scenario) -> Took:
    """The whole call, in a moment."""
    with every_agent_books(), watched_log() as errors:
        return run_virtual(_hold(scenario, errors))


async def _hold(scenario: Scenario, errors: ErrorLog) -> Took:
    phone = Phone(scenario.line, asyncio.get_running_loop().time)
    stage = Stage(scenario, "virtual", FakeDetector())
    writer = StreamWriter("MZvirtual", "CAvirtual", "ACvirtual")
    line = _Line(phone)
    stream = MediaStream()
    stream.receive(writer.start({}))
    leg = TwilioLeg(await line.socket(), stream, _info(), _LIMITS)
    phone.connect(writer, line)
    async with asyncio.timeout(LONGEST), asyncio.TaskGroup() as tasks:
        calling = tasks.create_task(stage.call(phone))
        calling.add_done_callback(lambda _: phone.hang_up())
        hung_up = tasks.create_task(phone.hung_up.wait())
        answering = tasks.create_task(stage.answer(leg))
        await asyncio.wait((answering, hung_up), return_when=asyncio.FIRST_COMPLETED)
        hung_up_by = "agent" if answering.done() else "caller"
        duration = phone.now
        line.send(writer.stop())
        await answering
        phone.end()
        phone.hang_up()
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    stage.faults += [f"left running: {task.get_coro()}" for task in left]
    return stage.took(hung_up_by, duration, errors)


class _Line:
    """The socket between a phone and a leg: both ends of it, in memory."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self._to_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._reading = asyncio.Event()
        self._reading.set()

    async def socket(self) -> WebSocket:
        """The server's end, accepted."""
        self._to_server.put_nowait({"type": "websocket.connect"})
        socket = WebSocket({"type": "websocket"}, self._receive, self._send)
        await socket.accept()
        return socket

    async def _receive(self) -> dict[str, Any]:
        return await self._to_server.get()

    async def _send(self, message: Any) -> None:
        if message["type"] == "websocket.send":
            await self._reading.wait()
            self._phone.receive(message["text"].encode())

    # The phone's end

    def send(self, message: str) -> None:
        self._to_server.put_nowait({"type": "websocket.receive", "text": message})

    def abort(self) -> None:
        self._to_server.put_nowait({"type": "websocket.disconnect", "code": 1006})

    def stop_reading(self) -> None:
        self._reading.clear()

    def read_again(self) -> None:
        self._reading.set()


def _info() -> LegInfo:
    return LegInfo("twilio", "CAvirtual", "inbound", "+15550100001", "+15550100000")
