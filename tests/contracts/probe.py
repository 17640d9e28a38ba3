"""What every engine is measured with: how long it stops the event loop, and what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

from app.engines.ports import Engine

E = TypeVar("E", bound=Engine)

STALL_SECONDS = 0.005
TRIES = 6  # of a measurement on a machine that others use too
TRIES_IN_ALL = 30  # with those in which the host took the machine's cores away for as long
_TICK_SECONDS = 0.001


class Queueing:
    """How long threads of this process could have run while others had the cores (Linux schedstat).

    A loop that waits for a thread which has the interpreter's lock and no core is not late by its fault.
    """

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def since_last(self) -> float:
        """Seconds since the last call, of all threads together."""
        self._open_new()
        total = 0
        for thread, file in list(self._files.items()):
            try:
                waited = int(os.pread(file, 100, 0).split()[1])
            except (OSError, IndexError):  # the thread has ended
                os.close(self._files.pop(thread))
                continue
            total += waited - self._last.get(thread, waited)
            self._last[thread] = waited
        return total / 1e9

    def close(self) -> None:
        for file in self._files.values():
            os.close(file)
        self._files.clear()

    def _open_new(self) -> None:
        if len(self._files) != threading.active_count() or not self._files:
            for thread in (path.name for path in Path("/proc/self/task").iterdir()):
                if thread not in self._files:
                    with contextlib.suppress(OSError):
                        self._files[thread] = os.open(f"/proc/self/task/{thread}/schedstat", os.O_RDONLY)


@dataclass
class LoopLag:
    """The longest time that the event loop was late by this process's own doing, in seconds."""

    worst: float = 0.0
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self) -> None:
        queueing = Queueing()
        queueing.since_last()
        try:
            while not self._stop.is_set():
                before = time.perf_counter()
                await asyncio.sleep(_TICK_SECONDS)
                late = time.perf_counter() - before - _TICK_SECONDS
                self.worst = max(self.worst, late - queueing.since_last())
        finally:
            queueing.close()

    def stop(self) -> None:
        self._stop.set()


@contextlib.asynccontextmanager
async def started(engine: E) -> AsyncIterator[E]:
    """The engine while it runs."""
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """Without garbage collection: its pauses come from the test runner's heap."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextlib.asynccontextmanager
async def loop_lag() -> AsyncIterator[LoopLag]:
    """Measures while it is open."""
    lag = LoopLag()
    with no_collections():
        async with asyncio.TaskGroup() as group:
            group.create_task(lag.watch())
            yield lag
            lag.stop()


async def never_stalls(work: Callable[[], Awaitable[None]]) -> None:
    """Fails when ``work`` stops the event loop for more than ``STALL_SECONDS`` each time it is tried."""
    worst: list[float] = []
    for _ in range(TRIES_IN_ALL):
        before = stolen()
        async with loop_lag() as lag:
            await work()
        if lag.worst <= STALL_SECONDS:
            return
        if stolen() - before < lag.worst:
            worst.append(lag.worst)
        if len(worst) == TRIES:
            break
        await asyncio.sleep(0.2)
    raise AssertionError(
        f"the event loop stopped for {[f'{value * 1000:.1f} ms' for value in worst]}, "
        "and in all other tries while the host had the cores"
    )


def stolen() -> float:
    """Seconds that the host of this virtual machine has had its cores for others (``steal``, proc(5))."""
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]) / os.sysconf("SC_CLK_TCK")


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
