"""What every engine is measured with: how long it stops the event loop, and what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import psutil

STALL_SECONDS = 0.005
_TRIES = 6  # of a measurement on a machine that others use too
_TICK_SECONDS = 0.001


@dataclass
class LoopLag:
    """The longest time that the event loop was late, in seconds."""

    worst: float = 0.0
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self) -> None:
        while not self._stop.is_set():
            before = time.perf_counter()
            await asyncio.sleep(_TICK_SECONDS)
            self.worst = max(self.worst, time.perf_counter() - before - _TICK_SECONDS)

    def stop(self) -> None:
        self._stop.set()


@contextlib.asynccontextmanager
async def loop_lag() -> AsyncIterator[LoopLag]:
    """Measures while it is open, without garbage collection: its pauses come from the test runner's heap."""
    lag = LoopLag()
    gc.disable()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(lag.watch())
            yield lag
            lag.stop()
    finally:
        gc.enable()


async def never_stalls(work: Callable[[], Awaitable[None]]) -> None:
    """Fails when ``work`` stops the event loop for more than ``STALL_SECONDS`` each time it is tried."""
    worst: list[float] = []
    for _ in range(_TRIES):
        async with loop_lag() as lag:
            await work()
        worst.append(lag.worst)
        if lag.worst <= STALL_SECONDS:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"the event loop stopped for {[f'{value * 1000:.1f} ms' for value in worst]}")


@dataclass(frozen=True)
class Belongings:
    """What a process holds."""

    processes: frozenset[int]
    threads: int
    descriptors: int
    tasks: int


def belongings() -> Belongings:
    """Children, threads (without the loop's pool), open files and running tasks."""
    gc.collect()
    process = psutil.Process()
    threads = [thread for thread in threading.enumerate() if "asyncio_" not in thread.name]
    return Belongings(
        frozenset(child.pid for child in process.children(recursive=True)),
        len(threads),
        process.num_fds(),
        len(asyncio.all_tasks()),
    )


async def leaves_nothing(use: Callable[[], Awaitable[None]], times: int = 3) -> None:
    """Fails when something is left after uses that end with ``close``; the first may fill caches."""
    await use()
    before = belongings()
    for _ in range(times):
        await use()
    for _ in range(20):
        after = belongings()
        if (
            after.processes <= before.processes
            and after.threads <= before.threads
            and after.descriptors <= before.descriptors
            and after.tasks <= before.tasks
        ):
            return
        await asyncio.sleep(0.05)  # a socket closes one turn of the loop later
    raise AssertionError(f"before: {before}; after: {after}")
