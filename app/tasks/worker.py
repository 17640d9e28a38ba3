"""The worker's process: Celery with threads, and beside it what is done by the clock.

Celery's own clock hands its tasks to the broker, where they wait behind the work after calls; it is a process
that outlives a worker that is killed, or a thread whose end nobody notices.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from concurrent.futures import Future

import structlog
from prometheus_client import start_http_server

from app.tasks.celery import celery
from app.tasks.clock import deliver, keep_time
from app.tasks.runtime import keep_doing
from config.settings import Settings

NICENESS = 10
"""Of a worker beside calls: calls come first."""

_log = structlog.get_logger(__name__)


def run_worker(settings: Settings, *, clock: bool = True, child: bool = False) -> None:
    """Work until SIGTERM or SIGINT, which let running tasks finish; a second one ends at once.

    ``clock``: also do what is due at times. ``child``: end with standard input, which a parent holds. Ends
    with the status 1 where what is done beside Celery broke, to be started again.
    """
    warnings.filterwarnings("ignore", category=UserWarning, module="celery")  # root, in a container
    if child:
        os.nice(NICENESS)
        threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    for chatty in ("celery.app.trace", "celery.worker.strategy"):  # a line for each task
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if settings.after_calls.metrics_port:
        _show_metrics(settings.after_calls.metrics_host, settings.after_calls.metrics_port)
    beside = [keep_doing(work) for work in ((deliver, keep_time) if clock else (deliver,))]
    for going_on in beside:
        going_on.add_done_callback(_end_if_broken)
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
    sys.exit(any(map(_broken, beside)) or worker.exitcode)


def _broken(going_on: Future[None]) -> bool:
    return going_on.done() and not going_on.cancelled()


def _end_if_broken(going_on: Future[None]) -> None:
    """End in order, unless the worker ends already: a worker without it would look alive and do half."""
    if _broken(going_on):
        _log.critical("the worker's clock broke; the worker ends", exc_info=going_on.exception())
        os.kill(os.getpid(), signal.SIGTERM)


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
