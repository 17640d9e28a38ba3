"""Gauges of what waits in the database and in the broker; the event loop's lag."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from uuid import uuid4

from prometheus_client import REGISTRY
from sqlalchemy import text

from app.db.session import Database
from app.observability.gauges import SystemGauges
from app.observability.lag import LOOK_SECONDS, watch_loop
from app.outbox.repository import owe
from app.reports.regression import LATENCY_REGRESSION
from app.reports.repository import add_event
from tests.app.calls.events import NOON

_ENDPOINT = text(
    "INSERT INTO webhook_endpoints (id, url, title, secret, events, enabled) "
    "VALUES (:id, 'https://crm.example.com', 'crm', 'whsec', ARRAY['call.ended'], :enabled)"
)
_DELIVERY = text(
    "INSERT INTO webhook_deliveries (id, endpoint_id, call_id, event, body, state, due_at) "
    "VALUES (:id, :endpoint, :call, 'call.ended', '{}', :state, now() - make_interval(secs => :overdue))"
)


def gauge(metric: str, /, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(metric, labels)


async def read(database: Database) -> None:
    await SystemGauges(database, lambda: 0).read()


async def test_an_empty_database(database: Database) -> None:
    await read(database)
    for name in ("outbox_waiting_calls", "outbox_overdue_seconds", "webhooks_waiting", "webhooks_dead"):
        assert gauge(f"trunkline_{name}") == 0, name
    assert gauge("trunkline_steps_failed") == 0
    assert gauge("trunkline_system_events", name=LATENCY_REGRESSION) == 0
    assert time.time() - (gauge("trunkline_database_read_timestamp_seconds") or 0) < 10


async def test_what_waits_is_shown(database: Database) -> None:
    asked, silent = uuid4(), uuid4()
    async with database.transaction() as session:
        await owe(session, [uuid4(), uuid4()], in_seconds=-40)
        await owe(session, [uuid4()], in_seconds=600)
        for endpoint, enabled in ((asked, True), (silent, False)):
            await session.execute(_ENDPOINT, {"id": endpoint, "enabled": enabled})
        for endpoint, state, overdue in (
            (asked, "waiting", 20),
            (asked, "waiting", -60),
            (silent, "waiting", 5000),
            (asked, "dead", 9000),
            (asked, "delivered", 9000),
        ):
            row = {"id": uuid4(), "endpoint": endpoint, "call": uuid4(), "state": state, "overdue": overdue}
            await session.execute(_DELIVERY, row)
        await session.execute(
            text(
                "INSERT INTO call_steps (call_id, step, started_at, state) "
                "VALUES (:call, 'summary', :at, 'failed'), (:call, 'score', :at, 'waiting')"
            ),
            {"call": uuid4(), "at": NOON},
        )
        add_event(session, LATENCY_REGRESSION, {"agent": "parcel"})
        await session.execute(
            text(
                "INSERT INTO system_events (name, detail, at) VALUES ('old', '{}', now() - interval '2 days')"
            )
        )
    await read(database)
    assert gauge("trunkline_outbox_waiting_calls") == 3
    assert 40 <= (gauge("trunkline_outbox_overdue_seconds") or 0) < 50
    assert gauge("trunkline_webhooks_waiting") == 3
    assert 20 <= (gauge("trunkline_webhooks_overdue_seconds") or 0) < 30
    assert gauge("trunkline_webhooks_dead") == 1
    assert gauge("trunkline_steps_failed") == 1
    assert gauge("trunkline_system_events", name=LATENCY_REGRESSION) == 1
    assert gauge("trunkline_system_events", name="old") is None


async def test_a_broker_and_a_database_that_are_away_are_asked_again() -> None:
    asked = 0

    def away() -> int:
        nonlocal asked
        asked += 1
        raise ConnectionRefusedError

    database = Database("postgresql://nobody@127.0.0.1:9/nothing")
    running = asyncio.create_task(SystemGauges(database, away).run())
    try:
        async with asyncio.timeout(10):
            while not asked:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert not running.done()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await database.close()


async def test_a_loop_that_is_held_up_is_seen() -> None:
    def late() -> float:
        labels = {"le": "0.1"}
        at_most = REGISTRY.get_sample_value("trunkline_event_loop_lag_seconds_bucket", labels) or 0.0
        return (REGISTRY.get_sample_value("trunkline_event_loop_lag_seconds_count") or 0.0) - at_most

    before = late()
    watching = asyncio.create_task(watch_loop())
    await asyncio.sleep(0)
    time.sleep(LOOK_SECONDS + 0.2)  # noqa: ASYNC251 - this is what is measured
    await asyncio.sleep(0.05)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    assert late() == before + 1
