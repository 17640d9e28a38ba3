"""What tasks of one worker process share: an event loop in a thread of its own, and what is open on it.

Celery runs a task in a thread; ``run_task`` has the task's coroutine run on the loop and waits for it. What
goes on beside them, such as the clock, is there too: ``keep_doing``. All of the process share the connections
of the database and of the language model, opened with the first.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import structlog
from celery.signals import worker_process_shutdown, worker_shutdown

from app.db.errors import DatabaseUnavailable
from app.db.session import describe, is_away
from app.tasks.celery import worker_settings
from app.tasks.tools import Tools, open_tools

CLOSE_SECONDS = 10.0
OPEN_AGAIN_SECONDS = 5.0  # while the database is away at the start

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class Runtime:
    """The loop and its thread. ``run`` may be called from any number of threads."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._tools: Tools | None = None
        self._kept: list[asyncio.Task[None]] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="tasks", daemon=True)
        self._thread.start()

    def run(self, work: Callable[[Tools], Awaitable[T]]) -> T:
        """Do the work on the loop; returns its result, and raises what it raises, or opening the tools."""
        return self._submit(self._run(work)).result()

    def keep_doing(self, work: Callable[[Tools], Awaitable[None]]) -> Future[None]:
        """Do work on the loop that goes on until ``close``, from when the database is there."""
        return self._submit(self._kept_doing(work))

    def close(self) -> None:
        """End what goes on, close what is open, and end the loop."""
        self._submit(self._close()).result(CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_SECONDS)
        self._loop.close()

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _run(self, work: Callable[[Tools], Awaitable[T]]) -> T:
        async with self._opening:
            if self._tools is None:
                self._tools = await self._stack.enter_async_context(open_tools(worker_settings()))
        return await work(self._tools)

    async def _kept_doing(self, work: Callable[[Tools], Awaitable[None]]) -> None:
        going_on = self._loop.create_task(self._keep_doing(work))
        self._kept.append(going_on)
        await going_on

    async def _keep_doing(self, work: Callable[[Tools], Awaitable[None]]) -> None:
        while True:
            try:
                return await self._run(work)
            except DatabaseUnavailable as error:
                _log.warning("the worker waits for the database", reason=str(error))
                await asyncio.sleep(OPEN_AGAIN_SECONDS)

    async def _close(self) -> None:
        for going_on in self._kept:
            going_on.cancel()
        await asyncio.gather(*self._kept, return_exceptions=True)
        await self._stack.aclose()


_lock = threading.Lock()
_runtime: Runtime | None = None


def run_task(work: Callable[[Tools], Awaitable[T]]) -> T | None:
    """Do a task's work; ``None`` when the database is away, which is logged: whoever asked asks again."""
    try:
        return _current().run(work)
    except DatabaseUnavailable as error:
        _log.warning("a task is put off: the database is away", reason=str(error))
        return None
    except Exception as error:
        if not is_away(error):
            raise
        _log.warning("a task is put off: the database is away", **describe(error))
        return None


def keep_doing(work: Callable[[Tools], Awaitable[None]]) -> Future[None]:
    """Do work that goes on until the worker ends; what it raises, the future does."""
    return _current().keep_doing(work)


def _current() -> Runtime:
    global _runtime  # noqa: PLW0603 - one a process; a pool of processes makes it after the fork
    with _lock:
        if _runtime is None or _runtime.pid != os.getpid():
            _runtime = Runtime()
        return _runtime


def _close(**_: object) -> None:
    global _runtime
    with _lock:
        runtime, _runtime = _runtime, None
    if runtime is not None and runtime.pid == os.getpid():
        runtime.close()


worker_shutdown.connect(_close, weak=False)
worker_process_shutdown.connect(_close, weak=False)
