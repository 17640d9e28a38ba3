"""The outbox is handed to the broker: what is due, until it had its effect, whatever is away meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID, uuid4

from sqlalchemy import text

from app.db.session import Database
from app.outbox import repository
from app.outbox.relay import BrokerAway, Relay, relay_once


class Broker:
    """Takes messages, or is away."""

    def __init__(self) -> None:
        self.taken: list[UUID] = []
        self.away = False

    def publish(self, calls: Sequence[UUID]) -> None:
        if self.away:
            raise BrokerAway("the broker is away")
        self.taken += calls


async def owe(database: Database, *calls: UUID, in_seconds: float = 0.0) -> None:
    async with database.transaction() as session:
        await repository.owe(session, calls, in_seconds=in_seconds)


async def test_what_is_due_is_published_once_and_again_after_the_lease(database: Database) -> None:
    broker, first, later = Broker(), uuid4(), uuid4()
    await owe(database, first)
    await owe(database, later, in_seconds=60)
    assert await relay_once(database, broker.publish, 0.5) == 1
    assert await relay_once(database, broker.publish, 0.5) == 0
    assert broker.taken == [first]
    await asyncio.sleep(0.6)
    assert await relay_once(database, broker.publish, 0.5) == 1
    assert broker.taken == [first, first]


async def test_the_lease_grows_while_messages_have_no_effect(database: Database) -> None:
    broker, call = Broker(), uuid4()
    await owe(database, call)
    leases = []
    for _ in range(6):
        await relay_once(database, broker.publish, 100.0)
        async with database.transaction() as session:
            seconds = await session.scalar(text("SELECT extract(epoch FROM due_at - now()) FROM outbox"))
            leases.append(round(float(seconds), -2))
            await session.execute(text("UPDATE outbox SET due_at = now()"))
    assert leases == [100, 200, 400, 800, 800, 800]


async def test_while_the_broker_is_away_rows_stay_due(database: Database) -> None:
    broker, call = Broker(), uuid4()
    await owe(database, call)
    broker.away = True
    with suppress(BrokerAway):
        await relay_once(database, broker.publish, 100.0)
    async with database.transaction() as session:
        row = (await session.execute(text("SELECT sent, due_at <= now() AS due FROM outbox"))).one()
    assert (row.sent, row.due) == (0, True)
    broker.away = False
    assert await relay_once(database, broker.publish, 100.0) == 1


async def test_several_relays_publish_each_once(database: Database) -> None:
    broker, calls = Broker(), [uuid4() for _ in range(250)]
    await owe(database, *calls)
    await asyncio.gather(*(relay_once(database, broker.publish, 100.0) for _ in range(4)))
    assert sorted(broker.taken) == sorted(calls)


async def test_it_goes_on_after_an_outage_and_when_it_is_woken(database: Database) -> None:
    broker, call = Broker(), uuid4()
    broker.away = True
    relay = Relay(database, broker.publish, look_seconds=30.0, lease_seconds=100.0)
    running = asyncio.create_task(relay.run())
    try:
        await owe(database, call)
        relay.wake()
        await asyncio.sleep(0.1)
        assert broker.taken == []
        broker.away = False
        async with asyncio.timeout(5):
            while not broker.taken:
                await asyncio.sleep(0.02)
        other = uuid4()
        await owe(database, other)
        relay.wake()
        async with asyncio.timeout(5):
            while other not in broker.taken:
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_what_is_done_is_owed_no_more_and_what_is_left_is_due_then(database: Database) -> None:
    call, done = uuid4(), uuid4()
    await owe(database, call, done)
    async with database.transaction() as session:
        assert await repository.lock(session, call)
        await repository.settle(session, done)
        assert not await repository.lock(session, done)
        waiting = await repository.waiting(session)
    assert waiting.calls == 1
