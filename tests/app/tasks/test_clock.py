"""What is done by the clock: by one worker of a data directory, again and again, whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from app.tasks import clock
from app.tasks.clock import Timed, keep_time, timetable
from app.tasks.tools import Tools
from config.settings import Settings


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "TAKE_OVER_SECONDS", 0.05)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> list[Timed]:
    """The timetable, to be filled."""
    entries: list[Timed] = []
    monkeypatch.setattr(clock, "timetable", lambda _: entries)
    return entries


async def until(there: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not there():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def ticking(tools: Tools) -> AsyncIterator[None]:
    """A worker's clock runs until the block ends."""
    running = asyncio.create_task(keep_time(tools))
    try:
        yield
        assert not running.done()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_all_that_is_in_the_timetable_can_be_done(tools: Tools, settings: Settings) -> None:
    for timed in timetable(settings):
        for _ in range(2):  # again, and with nothing to do
            await timed.work(tools)


async def test_one_clock_runs_and_another_takes_over(tools: Tools, table: list[Timed]) -> None:
    done = 0

    async def count(_: Tools) -> None:
        nonlocal done
        done += 1

    table.append(Timed("count", 60.0, count))
    async with ticking(tools):
        await until(lambda: done == 1)
        async with ticking(tools):
            await asyncio.sleep(0.2)
            assert done == 1
    async with ticking(tools):
        await until(lambda: done == 2)


async def test_what_fails_is_done_again_and_holds_up_nothing_else(tools: Tools, table: list[Timed]) -> None:
    tries: list[str] = []

    async def fail(_: Tools) -> None:
        tries.append("fail")
        raise ValueError

    async def lose_the_database(_: Tools) -> None:
        tries.append("lose")
        raise ConnectionRefusedError

    async def hang(_: Tools) -> None:
        tries.append("hang")
        await asyncio.sleep(60)

    async def work(_: Tools) -> None:
        tries.append("work")

    works = (fail, lose_the_database, hang, work)
    table += [Timed(each.__name__, 0.01, each) for each in works]
    with capture_logs() as lines:
        async with ticking(tools):
            await until(lambda: min(map(tries.count, ("fail", "lose", "work"))) >= 3)
    assert tries.count("hang") == 1
    told = {(line["task"], line["log_level"]) for line in lines}
    assert told == {("fail", "error"), ("lose_the_database", "warning")}


async def test_a_disk_that_refuses_its_lock_is_told_of_and_waited_for(
    tools: Tools, table: list[Timed], settings: Settings
) -> None:
    done = asyncio.Event()

    async def work(_: Tools) -> None:
        done.set()

    table.append(Timed("work", 60.0, work))
    lock = settings.data_dir / clock.LOCK
    lock.mkdir()
    with capture_logs() as lines:
        async with ticking(tools):
            await until(lambda: len(lines) >= 2)
            lock.rmdir()
            await asyncio.wait_for(done.wait(), 5)
    assert "stands still" in lines[0]["event"]
    assert lines[0]["reason"] == "Is a directory"
