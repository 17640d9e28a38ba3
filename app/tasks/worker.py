"""The worker's process: Celery with threads, and its clock in a thread too, so that all of it dies at once.

Celery's own embedded clock is a process, which outlives a worker that is killed, and goes on beside the next.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from typing import Any

import structlog
from celery import bootsteps
from celery.beat import EmbeddedService
from prometheus_client import start_http_server

from app.tasks.celery import celery
from config.settings import Settings

NICENESS = 10
"""Of a worker beside calls: calls come first."""

_log = structlog.get_logger(__name__)


class Clock(bootsteps.StartStopStep):  # type: ignore[misc]
    """Sends tasks when they are due: Celery's beat."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **_: Any) -> None:
        self._service: Any = None

    def start(self, worker: Any) -> None:
        """Start it, in a thread."""
        self._service = EmbeddedService(worker.app, thread=True)
        self._service.start()

    def stop(self, worker: Any) -> None:
        """Stop it; its schedule is kept in a file."""
        if self._service is not None:
            self._service.stop()


def run_worker(settings: Settings, *, clock: bool = True, child: bool = False) -> None:
    """Work until SIGTERM or SIGINT, which let running tasks finish; a second one ends at once.

    ``clock``: also send the tasks that are due. ``child``: end with standard input, which a parent holds.
    """
    warnings.filterwarnings("ignore", category=UserWarning, module="celery")  # root, in a container
    if child:
        os.nice(NICENESS)
        threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    for chatty in ("celery.app.trace", "celery.beat", "celery.worker.strategy"):  # a line for each task
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if settings.after_calls.metrics_port:
        _show_metrics(settings.after_calls.metrics_host, settings.after_calls.metrics_port)
    if clock:
        celery.steps["worker"].add(Clock)
    worker = celery.Worker(
        pool_cls="threads",
        concurrency=settings.after_calls.concurrency,
        loglevel=settings.log_level,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    sys.exit(worker.exitcode)


def _show_metrics(host: str, port: int) -> None:
    """Serve ``/metrics`` in a thread. The work after calls is worth more than its figures."""
    try:
        start_http_server(port, host)
    except OSError as error:
        _log.error(
            "the worker's metrics cannot be shown; set TRUNKLINE_AFTER_CALLS__METRICS_PORT to a free port, "
            "or __METRICS_HOST to an address of this machine",
            host=host,
            port=port,
            reason=error.strerror,
        )


def _end_with_parent() -> None:
    """End in order once the parent is gone, in whatever way."""
    # Not by sys.stdin, whose lock would be held while the interpreter ends.
    while os.read(0, 4096):
        pass
    _log.info("the process that started this worker is gone")
    os.kill(os.getpid(), signal.SIGTERM)
