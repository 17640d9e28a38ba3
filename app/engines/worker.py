"""A worker process of an engine: started, spoken to, restarted when it ends.

For libraries that hold the interpreter's lock or whose licence asks for a process of their own. The worker
is a fresh interpreter (``python -m module``), never a fork: this process has threads and an event loop.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import structlog

from app.engines.errors import EngineError, EngineUnavailable
from app.engines.wire import FAILED, READY, Unpacker, pack

_ROOT = Path(__file__).resolve().parents[2]  # the folder that holds the packages
_START_SECONDS = 30.0
_STOP_SECONDS = 2.0
_BACKOFF_SECONDS = (0.0, 0.5, 2.0, 5.0)  # before a restart: the first at once, for a process that lives long
_LIVES_LONG_SECONDS = 30.0

log = structlog.get_logger(__name__)


async def start_all(workers: Sequence[WorkerProcess]) -> None:
    """Start workers side by side. Raises ``EngineUnavailable`` when one does not start, having closed all."""
    try:
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker.start())
    except BaseExceptionGroup as problems:
        for worker in workers:
            await worker.close()
        raise problems.exceptions[0] from None


class WorkerProcess:
    """One worker. ``on_message(kind, body)``, ``on_ready()`` and ``on_lost()`` are called on the event loop.

    ``restarts`` counts the processes that ended by themselves. All methods are for the event loop's thread.
    """

    def __init__(
        self,
        engine: str,
        module: str,
        arguments: Sequence[str],
        on_message: Callable[[int, bytes], None],
        on_lost: Callable[[], None],
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        self._engine, self._module, self._arguments = engine, module, tuple(arguments)
        self._on_message, self._on_lost, self._on_ready = on_message, on_lost, on_ready
        self._link: _Link | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._is_ready = asyncio.Event()
        self.restarts = 0

    @property
    def ready(self) -> bool:
        """Whether the worker can be spoken to now."""
        return self._link is not None

    @property
    def pid(self) -> int | None:
        """The process id of the worker that runs now."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start the worker and wait until it is ready. Raises ``EngineUnavailable``."""
        if self._keeper is not None:
            return
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep(started), name=f"{self._engine} worker")
        try:
            await started
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop the worker and wait for its end. What is sent to it later is dropped."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])

    async def until_ready(self, seconds: float) -> None:
        """Wait for a worker that is being restarted. Raises ``EngineError``, which is retryable."""
        if self._link is not None:
            return
        try:
            async with asyncio.timeout(seconds if self._keeper is not None else 0):
                await self._is_ready.wait()
        except TimeoutError:
            raise EngineError(self._engine, "its worker process is not running") from None

    def send(self, kind: int, body: bytes = b"") -> bool:
        """Send a message without blocking; ``False`` when no worker runs now."""
        if self._link is None:
            return False
        self._link.write(pack(kind, body))
        return True

    def kill(self) -> None:
        """End a worker that does not answer; the next one starts at once."""
        if self._process is not None:
            self._process.kill()

    async def _keep(self, started: asyncio.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            try:
                await self._run_once(started)
            except EngineUnavailable as error:
                if not started.done():
                    started.set_exception(error)
                    return
                log.error("worker_not_started", engine=self._engine, reason=str(error))
            self.restarts += 1
            failures = 0 if loop.time() - began > _LIVES_LONG_SECONDS else failures + 1
            pause = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS)) - 1] if failures else 0.0
            log.warning("worker_ended", engine=self._engine, restarts=self.restarts, pause_seconds=pause)
            await asyncio.sleep(pause)

    async def _run_once(self, started: asyncio.Future[None]) -> None:
        """One process from its start to its end. Raises ``EngineUnavailable`` when it does not get ready."""
        loop = asyncio.get_running_loop()
        spawning = loop.run_in_executor(None, _spawn, self._module, self._arguments)
        try:
            process, parent_end = await asyncio.shield(spawning)
        except asyncio.CancelledError:
            process, parent_end = await spawning
            parent_end.close()
            await loop.run_in_executor(None, _stop, process)
            raise
        self._process = process
        link = _Link(self._on_message)
        try:
            await loop.create_connection(lambda: link, sock=parent_end)
            await self._until_ready(link)
            self._link = link
            self._is_ready.set()
            if self._on_ready is not None:
                self._on_ready()
            if not started.done():
                started.set_result(None)
            await link.lost
        finally:
            self._link = None
            self._is_ready.clear()
            link.close()
            self._on_lost()
            await asyncio.shield(loop.run_in_executor(None, _stop, process))
            self._process = None

    async def _until_ready(self, link: _Link) -> None:
        try:
            async with asyncio.timeout(_START_SECONDS):
                ends: list[asyncio.Future[Any]] = [link.ready, link.lost]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            message = f"its worker was not ready after {_START_SECONDS:.0f} s"
            raise EngineUnavailable(self._engine, message) from None
        if not link.ready.done():
            raise EngineUnavailable(self._engine, "its worker ended while it started")
        if problem := link.ready.result():
            raise EngineUnavailable(self._engine, problem)


class _Link(asyncio.Protocol):
    """This process's end of the connection to a worker."""

    def __init__(self, on_message: Callable[[int, bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        self._on_message = on_message
        self._unpacker = Unpacker()
        self._transport: asyncio.Transport | None = None
        self.ready: asyncio.Future[str] = loop.create_future()  # a text: what keeps it from being ready
        self.lost: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        for kind, body in self._unpacker.feed(data):
            if kind in {READY, FAILED}:
                if not self.ready.done():
                    self.ready.set_result(body.decode())
            else:
                self._on_message(kind, body)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _spawn(module: str, arguments: tuple[str, ...]) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start the interpreter; a few milliseconds, so not on the event loop."""
    parent_end, child_end = socket.socketpair()
    try:
        parent_end.setblocking(False)
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", module, str(child_end.fileno()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[child_end.fileno()],
            env=os.environ | {"PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
    except BaseException:
        parent_end.close()
        raise
    finally:
        child_end.close()
    return process, parent_end


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Wait for the process, whose connection is closed, and kill it if it does not end."""
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
