"""Waiting for a moment of the event loop's clock, and no longer than until one, cheaply and without drift."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

_STEP_SECONDS = 0.0001  # of one loop among many that do the same
_CLOCK_SECONDS = 0.001  # uvloop's resolution: a timer may go off so much early


async def wait_until(loop: asyncio.AbstractEventLoop, when: float) -> None:
    """Return once ``loop.time()`` has reached ``when``; at once, without a trip round the loop, if it has.

    One future and one timer; cancellation removes the timer.
    """
    if loop.time() >= when:
        return
    reached: asyncio.Future[None] = loop.create_future()
    timer = loop.call_at(when, _resolve, reached)
    try:
        await reached
    finally:
        timer.cancel()


class Breath:
    """Lets other work of the event loop in where a loop may go on and on without having to wait."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def take(self) -> None:
        """To be awaited after each step; goes once round the event loop where 0.1 ms have passed."""
        if time.perf_counter() - self._since > _STEP_SECONDS:
            await asyncio.sleep(0)
            self._since = time.perf_counter()


class WaitLimit:
    """Limits each wait of a series, one after another, as ``asyncio.timeout`` does for a third of its CPU.

    One timer serves them all: a wait that ends in time leaves it, and it is set anew when it goes off early.
    Close it after the last wait.
    """

    __slots__ = ("_deadline", "_expired", "_loop", "_task", "_timer")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None  # that waits now
        self._deadline = 0.0
        self._expired = False

    async def wait(self, work: Awaitable[T], seconds: float) -> T:
        """The work's result. Raises ``TimeoutError`` after so many seconds, with the work cancelled."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be made to wait no longer")
        self._deadline = deadline = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > deadline:
            self.close()
            self._timer = self._loop.call_at(deadline, self._look)
        self._task = task
        requests = task.cancelling()
        try:
            result = await work
        except asyncio.CancelledError:
            if self._end(task, requests):
                raise TimeoutError from None
            raise
        except BaseException:
            self._end(task, requests)
            raise
        self._end(task, requests)
        return result

    def close(self) -> None:
        """Remove the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._task is None:
            return
        if self._deadline - self._loop.time() > _CLOCK_SECONDS:
            self._timer = self._loop.call_at(self._deadline, self._look)
            return
        self._expired = True
        self._task.cancel()

    def _end(self, task: asyncio.Task[object], requests: int) -> bool:
        """The wait is over; whether the limit is all that ended it."""
        self._task = None
        expired, self._expired = self._expired, False
        return expired and task.uncancel() <= requests


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
