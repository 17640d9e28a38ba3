"""Web process, worker and broker are killed with -9 at random points while calls end.

Whatever is killed: every call that ended is worked up exactly once in effect. ``KILLS`` says how often
(4 here, 50 for the whole measurement).
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.calls.presence import Presence
from app.calls.recorder import Recorder
from app.db.session import Database
from app.db.start import open_database
from app.postcall.plan import STEPS
from telephony.simulator.carrier import Carrier
from telephony.simulator.phone import Phone
from tests.app.calls.events import whole_call
from tests.e2e.crashes import Installation, Receiver

KILLS = int(os.environ.get("KILLS", "4"))
DONE_SECONDS = 240.0  # in the worst case a call's process is missed for 20 s, and its spool waited for 60 s
CALLS_EVERY = 0.5  # seconds


@pytest.mark.parametrize("broker", ["files", "redis"])
async def test_every_call_is_worked_up_once_whatever_is_killed(broker: str, tmp_path: Path) -> None:
    if broker == "redis" and shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    receiver = Receiver()
    with receiver.running(), Installation(tmp_path, redis=broker == "redis") as parts:
        async with open_database("", parts.data_dir, migrate=False) as database:
            await _subscribe(database, receiver)
            async with _calls_end(database), _calls_are_made(parts):
                killed = await _kill(parts, KILLS // 2)
            print(f"{broker}: killed {killed}")  # noqa: T201 - the figure of the measurement
            await _until_done(database)
            await _check(database, receiver)


async def _kill(parts: Installation, times: int) -> dict[str, int]:
    killed = dict.fromkeys(parts.victims, 0)
    number = 0
    while sum(killed.values()) < times:
        await asyncio.sleep(random.uniform(0.1, 1.5))
        victim = parts.victims[number % len(parts.victims)]
        killed[victim] += await asyncio.to_thread(parts.kill, victim)
        number += 1
    await asyncio.sleep(0.5)
    return killed


@asynccontextmanager
async def _calls_end(database: Database) -> AsyncIterator[None]:
    """Calls of another process, which lives on, end one after another."""
    presence = Presence(database)
    await presence.start()
    recorder = Recorder(database, presence.id)

    async def end_calls() -> None:
        while True:
            for event in whole_call(3, at=datetime.now(UTC) - timedelta(seconds=31)):
                recorder.record(event)
            await asyncio.sleep(CALLS_EVERY)

    tasks = [asyncio.create_task(work) for work in (recorder.run(), presence.run(), end_calls())]
    try:
        yield
    finally:
        tasks.pop().cancel()
        assert await recorder.flush(20) == 0
        await presence.stop()
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def _calls_are_made(parts: Installation) -> AsyncIterator[None]:
    """Calls of the process that is killed: some end in order, some with it."""

    async def caller(phone: Phone) -> None:
        await phone.wait(random.uniform(0.2, 1.0))

    async def make_calls() -> None:
        web = parts.web
        async with Carrier(web.webhook, web.account_sid, web.auth_token) as carrier:
            while True:
                with suppress(Exception):  # killed: the caller hears nothing any more
                    await carrier.place_call(caller)
                await asyncio.sleep(0.2)

    making = asyncio.create_task(make_calls())
    try:
        yield
    finally:
        making.cancel()
        with suppress(asyncio.CancelledError):
            await making


async def _subscribe(database: Database, receiver: Receiver) -> None:
    async with database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO webhook_endpoints (id, url, title, secret, events, enabled) "
                "VALUES (:id, :url, 'test', :secret, '{call.ended}', true)"
            ),
            {"id": uuid4(), "url": receiver.url, "secret": receiver.secret},
        )


async def _rows(database: Database, statement: str) -> Sequence[Any]:
    async with database.transaction() as session:
        return (await session.execute(text(statement))).all()


async def _until_done(database: Database) -> None:
    """Nothing is owed, and nobody waits for a message."""
    clock = asyncio.get_running_loop().time
    give_up = clock() + DONE_SECONDS
    while True:
        ((open_calls, owed, untold),) = await _rows(
            database,
            "SELECT (SELECT count(*) FROM calls WHERE ended_at IS NULL), (SELECT count(*) FROM outbox), "
            "(SELECT count(*) FROM webhook_deliveries WHERE state = 'waiting')",
        )
        if open_calls == owed == untold == 0:
            return
        if clock() > give_up:
            left = [
                *await _rows(database, "SELECT id, started_at FROM calls WHERE ended_at IS NULL"),
                *await _rows(database, "SELECT * FROM outbox"),
                *await _rows(
                    database,
                    "SELECT call_id, step, state, due_at, error FROM call_steps WHERE state = 'waiting'",
                ),
                *await _rows(
                    database,
                    "SELECT id, attempts, due_at, last_error FROM webhook_deliveries WHERE state = 'waiting'",
                ),
            ]
            raise AssertionError(f"not done after {DONE_SECONDS:.0f} s: {left}")
        await asyncio.sleep(0.3)


async def _check(database: Database, receiver: Receiver) -> None:
    calls = {row.id for row in await _rows(database, "SELECT id FROM calls")}
    steps = await _rows(database, "SELECT call_id, step, state, attempts FROM call_steps")
    texts = await _rows(database, "SELECT call_id FROM call_texts")
    sent = await _rows(database, "SELECT call_id, state, body FROM webhook_deliveries")

    assert len(calls) > KILLS
    assert len(steps) == len(calls) * len(STEPS)
    assert {(row.call_id, row.step) for row in steps} == {(call, step) for call in calls for step in STEPS}
    assert {row.state for row in steps} <= {"done", "skipped"}
    assert {row.attempts for row in steps} == {1}
    assert sorted(row.call_id for row in texts) == sorted(calls)
    assert sorted(row.call_id for row in sent) == sorted(calls)
    assert {row.state for row in sent} == {"delivered"}

    assert receiver.wrong == []
    assert receiver.messages.keys() == {str(call) for call in calls}
    for row in sent:
        # A message may come more than once; its id says so, and its words are the same.
        ids = {identity for identity, _ in receiver.messages[str(row.call_id)]}
        bodies = [message for _, message in receiver.messages[str(row.call_id)]]
        assert len(ids) == 1
        assert all(body == row.body for body in bodies)
    doubled = sum(len(messages) - 1 for messages in receiver.messages.values())
    print(f"{len(calls)} calls, {len(steps)} steps; received twice: {doubled}")  # noqa: T201
