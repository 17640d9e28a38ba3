from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psutil
import pytest

from app.engines.errors import EngineError, EngineUnavailable
from app.engines.wire import FAILED, READY, connect
from app.engines.worker import WorkerProcess

ECHO, DIE = 10, 11


def _echo() -> None:
    connection = connect()
    connection.send(READY)
    while connection.open:
        for kind, body in connection.receive(None):
            if kind == DIE:
                os._exit(3)
            connection.send(kind, body)


def _refuse() -> None:
    connect().send(FAILED, b"put the model there")


def _nothing() -> None: ...


class Owner:
    def __init__(self, *arguments: str) -> None:
        self.messages: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
        self.lost = 0
        self.readied = 0
        self.process = WorkerProcess(
            "test",
            __name__,
            arguments,
            lambda *message: self.messages.put_nowait(message),
            self._lose,
            self._ready,
        )

    def _lose(self) -> None:
        self.lost += 1

    def _ready(self) -> None:
        self.readied += 1

    async def answer(self) -> tuple[int, bytes]:
        async with asyncio.timeout(10):
            return await self.messages.get()


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[Owner]:
    owner = Owner(*arguments)
    await owner.process.start()
    try:
        yield owner
    finally:
        await owner.process.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_messages_go_both_ways_whole_and_in_order() -> None:
    bodies = [b"", b"x" * 300_000, *(bytes([number]) for number in range(100))]
    async with running("echo") as owner:
        for body in bodies:
            assert owner.process.send(ECHO, body)
        assert [await owner.answer() for _ in bodies] == [(ECHO, body) for body in bodies]


@pytest.mark.parametrize("how", ["kill", "exit"])
async def test_a_worker_that_ends_is_replaced(how: str) -> None:
    async with running("echo") as owner:
        first = owner.process.pid
        assert first is not None
        if how == "kill":
            os.kill(first, signal.SIGKILL)
        else:
            owner.process.send(DIE)
        await until(lambda: owner.lost == 1)
        assert not owner.process.send(ECHO, b"lost")
        await owner.process.until_ready(10)
        assert (owner.process.restarts, owner.readied) == (1, 2)
        assert owner.process.pid != first
        owner.process.send(ECHO, b"again")
        assert await owner.answer() == (ECHO, b"again")


async def test_signals_to_the_process_group_leave_the_worker_alive() -> None:
    async with running("echo") as owner:
        assert owner.process.pid is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(owner.process.pid, number)
        owner.process.send(ECHO, b"still here")
        assert await owner.answer() == (ECHO, b"still here")
        assert owner.process.restarts == 0


async def test_close_ends_the_process_and_leaves_no_zombie() -> None:
    async with running("echo") as owner:
        pid = owner.process.pid
        assert pid is not None
    assert not psutil.pid_exists(pid)
    assert not owner.process.send(ECHO, b"")
    with pytest.raises(EngineError, match="not running"):
        await owner.process.until_ready(5)


async def test_what_keeps_a_worker_from_starting_is_said() -> None:
    with pytest.raises(EngineUnavailable, match="put the model there"):
        async with running("refuse"):
            pass


async def test_a_worker_that_ends_while_it_starts_is_an_error() -> None:
    with pytest.raises(EngineUnavailable, match="ended while it started"):
        async with running("nothing"):
            pass


async def test_a_start_may_be_cancelled() -> None:
    before = set(psutil.Process().children())
    for after in (0.0, 0.002, 0.02, 0.1):
        owner = Owner("echo")
        task = asyncio.create_task(owner.process.start())
        await asyncio.sleep(after)
        task.cancel()
        await asyncio.wait([task])
        await owner.process.close()
    assert set(psutil.Process().children()) <= before


if __name__ == "__main__":
    {"echo": _echo, "refuse": _refuse, "nothing": _nothing}[sys.argv[2]]()
