"""The worker that the web process keeps where there is no broker, so that nothing has to be set up."""

from __future__ import annotations

import asyncio
import sys
from subprocess import PIPE, Popen, TimeoutExpired

import structlog

from app.metrics import WORKER_RESTARTS
from config.settings import Settings

COMMAND = (sys.executable, "-m", "app.cli", "worker", "--child")
BACKOFF_SECONDS = (1.0, 2.0, 5.0, 10.0)  # before a worker that ended is started again
LIVES_LONG_SECONDS = 30.0  # after which it is started again without much ado
LOOK_SECONDS = 0.5  # between looks whether it lives
STOP_SECONDS = 15.0  # for a worker to finish what it does

_log = structlog.get_logger(__name__)


def wants_child(settings: Settings) -> bool:
    """Whether the web process is to start a worker."""
    return not settings.broker_url.get_secret_value() and settings.after_calls.worker == "child"


async def keep_worker() -> None:
    """Keep a worker running, until cancelled; then let it finish."""
    clock = asyncio.get_running_loop().time
    failures = 0
    while True:
        began = clock()
        try:
            reason = f"status {await _run_once()}"
        except OSError as error:
            reason = error.strerror or type(error).__name__
        failures = 1 if clock() - began > LIVES_LONG_SECONDS else failures + 1
        pause = BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS)) - 1]
        WORKER_RESTARTS.inc()
        _log.warning("the worker ended and is started again", reason=reason, pause_seconds=pause)
        await asyncio.sleep(pause)


async def _run_once() -> int:
    """One worker from its start to its end; returns its status. Raises ``OSError``."""
    process = await asyncio.to_thread(_start)
    try:
        while (status := process.poll()) is None:  # noqa: ASYNC110 - a process is nothing to await
            await asyncio.sleep(LOOK_SECONDS)
        return status
    finally:
        await asyncio.shield(asyncio.to_thread(_stop, process))


def _start() -> Popen[bytes]:
    """It ends when its standard input does: the kernel closes that with this process, however it ends.

    Ctrl-C is for this process, which ends the worker in its turn, so that is in a session of its own.
    """
    return Popen(COMMAND, stdin=PIPE, start_new_session=True)  # noqa: S603 - this very program


def _stop(process: Popen[bytes]) -> None:
    """Let it finish what it does, within bounds."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except TimeoutExpired:
            _log.warning("the worker did not finish in time; what it did is done again at the next start")
            process.kill()
            process.wait()
    if process.stdin is not None:
        process.stdin.close()
