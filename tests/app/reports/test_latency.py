"""Percentiles of latencies: over HTTP, counted and not, and turns that are stored late."""

from __future__ import annotations

import random
import statistics
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import text

from app.db.session import Database
from app.reports.latency import count_closed_hours
from app.voice.events import TurnLatency
from tests.app.api_client import api_client
from tests.app.calls.conftest import Store
from tests.app.calls.events import NOON, whole_call

PERIOD = {"since": "2026-02-28T00:00:00Z", "until": "2026-03-07T00:00:00Z"}
LATER = NOON + timedelta(hours=2, minutes=10)


@pytest.fixture
async def client(database: Database) -> AsyncIterator[AsyncClient]:
    async with api_client(database) as client:
        yield client


async def test_latency_percentiles_per_stage(client: AsyncClient, store: Store) -> None:
    responses = [float(value) for value in range(100, 201)]
    for response in responses:
        latency = TurnLatency(llm=response / 2, response=response)
        await store(*whole_call(1, latency=latency))
    await store(*whole_call(1, latency=TurnLatency(stt=9999.0)))  # a turn without a response
    await store(*whole_call(1, agent="bench", latency=TurnLatency(response=5000.0)))
    await store(*whole_call(1, at=NOON + timedelta(days=2), latency=TurnLatency(response=7000.0)))

    query = {"agent": "parcel", **PERIOD, "until": "2026-03-02T00:00:00Z"}
    report = (await client.get("/latency", params=query)).json()

    assert report["turns"] == 101
    stages = {stage.pop("stage"): stage for stage in report["stages"]}
    assert list(stages) == ["stt", "endpoint", "llm", "phrase", "tts", "send", "response"]
    assert stages["response"] == {
        "count": 101,
        "p50_ms": 150.0,
        "p90_ms": 190.0,
        "p95_ms": 195.0,
        "p99_ms": 199.0,
    }
    assert stages["llm"]["p50_ms"] == statistics.median(responses) / 2
    assert stages["stt"] == {"count": 0, **dict.fromkeys(("p50_ms", "p90_ms", "p95_ms", "p99_ms"))}
    assert (await client.get("/latency", params=PERIOD)).json()["turns"] == 103


async def test_latency_of_nothing(client: AsyncClient) -> None:
    report = (await client.get("/latency")).json()
    assert report["turns"] == 0
    assert {stage["p50_ms"] for stage in report["stages"]} == {None}


async def _report(client: AsyncClient, **query: str) -> dict[str, Any]:
    answer = await client.get("/latency", params=PERIOD | query)
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


async def test_counted_hours_say_the_same(client: AsyncClient, store: Store, database: Database) -> None:
    for minute in range(0, 300, 7):
        latency = TurnLatency(llm=100.0 + minute, response=500.0 + 3 * minute)
        await store(*whole_call(1, at=NOON + timedelta(minutes=minute), latency=latency))
    since, until = NOON + timedelta(minutes=25), NOON + timedelta(minutes=200)
    queries = [{}, {"agent": "parcel"}, {"since": since.isoformat(), "until": until.isoformat()}]
    before = [await _report(client, **query) for query in queries]

    assert await count_closed_hours(database, now=NOON + timedelta(hours=3, minutes=30)) == 3

    assert [await _report(client, **query) for query in queries] == before
    async with database.transaction() as session:
        await session.execute(
            text("UPDATE latency_hours SET counts = array_fill(1000, ARRAY[cardinality(counts)])")
        )
    assert await _report(client) != before[0]  # they were asked


async def test_an_hour_is_counted_anew_when_a_turn_comes_late(
    client: AsyncClient, store: Store, database: Database
) -> None:
    await store(*whole_call(1, latency=TurnLatency(response=500.0)))
    assert await count_closed_hours(database, now=LATER) == 2
    assert await count_closed_hours(database, now=LATER) == 0
    await store(*whole_call(1, at=NOON + timedelta(minutes=5), latency=TurnLatency(response=700.0)))
    assert (await _report(client))["turns"] == 2
    assert await count_closed_hours(database, now=LATER) == 1
    assert (await _report(client))["turns"] == 2


async def test_days_are_counted_one_after_the_other(store: Store, database: Database) -> None:
    for day in (0, 3):
        await store(*whole_call(1, at=NOON + timedelta(days=day), latency=TurnLatency(response=500.0)))
    assert await count_closed_hours(database, now=NOON + timedelta(days=3, hours=2, minutes=10)) == 74


async def test_percentiles_by_day(client: AsyncClient, store: Store) -> None:
    for day in range(3):
        latency = TurnLatency(response=100.0 * (day + 1))
        await store(*whole_call(2, at=NOON + timedelta(days=day), latency=latency))
    answer = await client.get(
        "/latency/days", params={"since": NOON.isoformat(), "until": (NOON + timedelta(days=2)).isoformat()}
    )
    days = answer.json()["days"]
    assert [day["day"] for day in days] == ["2026-03-01", "2026-03-02"]
    assert [day["turns"] for day in days] == [2, 2]
    responses = [next(each for each in day["stages"] if each["stage"] == "response") for day in days]
    assert [stage["p50_ms"] for stage in responses] == [100.0, 200.0]


async def test_percentiles_are_those_of_postgres(
    client: AsyncClient, store: Store, database: Database
) -> None:
    for n in range(60):
        latency = TurnLatency(response=float(400 + n * n % 97), llm=float(n % 5) if n % 3 else None)
        await store(*whole_call(1, at=NOON + timedelta(minutes=3 * n), latency=latency))
    await count_closed_hours(database, now=NOON + timedelta(hours=2, minutes=30))
    report = await _report(client)
    async with database.transaction() as session:
        for stage in ("response", "llm", "stt"):
            expected = await session.scalar(
                text(
                    f"SELECT percentile_cont(ARRAY[0.5, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY {stage}_ms) "
                    "FROM turns WHERE response_ms IS NOT NULL"
                )
            )
            found = next(one for one in report["stages"] if one["stage"] == stage)
            values = [found[name] for name in ("p50_ms", "p90_ms", "p95_ms", "p99_ms")]
            assert values == (pytest.approx(expected) if expected else [None] * 4)


async def test_the_parts_of_a_period_add_up(client: AsyncClient, store: Store, database: Database) -> None:
    for n in range(40):
        await store(
            *whole_call(1, at=NOON + timedelta(minutes=7 * n), latency=TurnLatency(response=500.0 + n))
        )
    await count_closed_hours(database, now=NOON + timedelta(hours=3, minutes=30))
    draw = random.Random(7)
    for _ in range(30):
        times = [NOON + timedelta(minutes=draw.randint(-30, 400)) for _ in range(4)]
        times = [NOON - timedelta(hours=1), *sorted(times), NOON + timedelta(hours=7)]
        parts = [
            await _report(client, since=since.isoformat(), until=until.isoformat())
            for since, until in pairwise(times)
        ]
        assert sum(part["turns"] for part in parts) == 40, times


@pytest.mark.parametrize("path", ["/latency", "/latency/days", "/figures"])
@pytest.mark.parametrize(
    "period",
    [
        {"since": "9999-12-31T23:30:00Z", "until": "9999-12-31T23:59:00Z"},
        {"until": "0001-01-01T00:00:00Z"},
        {"since": "1999-01-01T00:00:00Z"},
    ],
)
async def test_periods_that_cannot_be_counted(client: AsyncClient, path: str, period: dict[str, str]) -> None:
    answer = await client.get(path, params=period)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] in {"query.since", "query.until"}
