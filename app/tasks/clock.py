"""What a worker does by the clock, on the event loop that its tasks share. Nothing of it waits in the broker.

Each worker sends the messages of webhooks. The rest is done by one of the workers that share a data
directory: the one that holds its lock, which the kernel frees when that worker ends in whatever way. All of
it may be done twice, and by several at once: workers on other machines have a clock too, and every clock
begins with all of it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from app.db.session import describe, is_away
from app.outbox.relay import BrokerAway, relay_once
from app.reports.latency import count_closed_hours
from app.reports.watching import watch_latency
from app.tasks.apply_retention import apply_retention
from app.tasks.celery import celery
from app.tasks.close_abandoned import close_abandoned
from app.tasks.erase_waiting import erase_waiting
from app.tasks.sending import publish
from app.tasks.tools import Tools
from config.settings import Settings

LOCK = "clock.lock"
TAKE_OVER_SECONDS = 5.0  # between looks whether the worker that has the clock is gone
DELIVER_SECONDS = 5.0  # between looks for messages to be sent again; new ones go out at once
RELAYS = 5  # looks of a web process at the outbox for one of a worker, which is for when there is none
DAY_IS_OVER = timedelta(minutes=30)  # after its end: its last hour is counted by then

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Timed:
    """Work that is done at the start and again so many seconds after it was done."""

    name: str
    seconds: float
    work: Callable[[Tools], Awaitable[object]]


def timetable(settings: Settings) -> tuple[Timed, ...]:
    """What the worker does that has the clock."""
    return (
        Timed("close abandoned calls", 30.0, close_abandoned),
        Timed("erase waiting calls", 30.0, erase_waiting),
        Timed("relay the outbox", RELAYS * settings.after_calls.relay_seconds, _relay),
        Timed("count latencies", 600.0, lambda tools: count_closed_hours(tools.database)),
        Timed("watch latency", 3600.0, _watch),
        Timed("apply retention", 24 * 3600.0, apply_retention),
    )


async def deliver(tools: Tools) -> None:
    """Send the webhooks' messages that are due, until cancelled: at once where one was written here."""
    delivery = Timed("deliver webhooks", DELIVER_SECONDS, lambda tools: tools.sender.send_due())
    while True:
        await _do(delivery, tools)
        await tools.sender.pause(delivery.seconds)


async def keep_time(tools: Tools) -> None:
    """Do what is in the timetable, until cancelled, while no other worker of the data directory does."""
    settings = tools.settings
    async with _alone(settings.data_dir / LOCK), asyncio.TaskGroup() as tasks:
        for timed in timetable(settings):
            tasks.create_task(_again_and_again(timed, tools))


async def _again_and_again(timed: Timed, tools: Tools) -> None:
    while True:
        await _do(timed, tools)
        await asyncio.sleep(timed.seconds)


async def _do(timed: Timed, tools: Tools) -> None:
    try:
        await timed.work(tools)
    except Exception as error:  # noqa: BLE001 - the edge of a task
        if is_away(error):
            _log.warning("a task is put off: the database is away", task=timed.name, **describe(error))
        else:
            _log.exception("a task of the clock failed; it is done again", task=timed.name)


@asynccontextmanager
async def _alone(path: Path) -> AsyncIterator[None]:
    """Hold the lock of a file; waits while somebody else does, or it cannot be had."""
    while (lock := _locked(path)) is None:  # noqa: ASYNC110 - a file's lock is nothing to await
        await asyncio.sleep(TAKE_OVER_SECONDS)
    try:
        yield
    finally:
        os.close(lock)


def _locked(path: Path) -> int | None:
    """The file, locked; ``None`` where it is not to be had now."""
    lock = -1
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if lock >= 0:
            os.close(lock)
        if not isinstance(error, BlockingIOError):
            _log.error(
                "the worker's clock stands still: its lock cannot be had; look at the data directory's disk",
                file=str(path),
                reason=error.strerror,
            )
        return None
    return lock


async def _relay(tools: Tools) -> None:
    """Hand the outbox to the broker, also while no web process runs."""
    lease_seconds = tools.settings.after_calls.lease_seconds
    try:
        await relay_once(tools.database, lambda calls: publish(celery, calls), lease_seconds)
    except BrokerAway as error:
        _log.warning("the work after calls waits", away="broker", reason=str(error))


async def _watch(tools: Tools) -> None:
    """Is an agent slower than in the week before? Operators are told of it by a system event, once."""
    now = datetime.now(UTC)
    await count_closed_hours(tools.database, now=now)
    day = (now - DAY_IS_OVER).date() - timedelta(days=1)
    async with tools.database.transaction() as session:
        found = await watch_latency(session, day)
    for one in found:
        _log.warning(
            "an agent became slower",
            agent=one.agent,
            stage=one.stage,
            day=one.day.isoformat(),
            turns=one.turns,
        )
