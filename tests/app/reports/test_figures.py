"""``/figures`` and ``/system-events`` over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from httpx import AsyncClient
from sqlalchemy import text

from app.db.session import Database
from app.reports.repository import add_event
from app.voice.events import CallRefused, Outcome
from tests.app.api_client import api_client
from tests.app.calls.conftest import Store
from tests.app.calls.events import NOON, whole_call

PERIOD = {"since": NOON.isoformat(), "until": (NOON + timedelta(days=3)).isoformat()}


@pytest.fixture
async def client(database: Database) -> AsyncIterator[AsyncClient]:
    async with api_client(database) as client:
        yield client


async def test_figures_of_days_add_up_to_the_total(
    client: AsyncClient, store: Store, database: Database
) -> None:
    await store(
        *whole_call(2, at=NOON, outcome=Outcome.SUCCESS),
        *whole_call(1, at=NOON + timedelta(hours=1), outcome=Outcome.CALLER),
        *whole_call(1, at=NOON + timedelta(days=1), agent="bench", outcome=Outcome.CALLER),
        CallRefused(uuid4(), NOON, "CA1", "full"),
    )
    async with database.transaction() as session:
        await session.execute(
            text(
                "UPDATE calls SET turn_count = 2, barge_ins = 1, caller_seconds = 4, agent_seconds = 6, "
                "score = 0.5"
            )
        )
    report = (await client.get("/figures", params=PERIOD)).json()

    total = report["total"]
    assert (total["calls"], total["refused"], total["answer_rate"]) == (3, 1, 0.75)
    assert total["outcomes"] == {"success": 1, "caller": 2}
    assert (total["talk_ratio"], total["barge_ins"], total["mean_score"]) == (1.5, 3, 0.5)
    assert total["mean_duration_seconds"] == 30.0
    assert [(part["of"], part["calls"], part["refused"]) for part in report["parts"]] == [
        ("2026-03-01", 2, 1),
        ("2026-03-02", 1, 0),
    ]


async def test_figures_of_an_agent_and_by_agent(client: AsyncClient, store: Store) -> None:
    await store(*whole_call(1, agent="parcel"), *whole_call(1, agent="bench"))
    one = (await client.get("/figures", params={**PERIOD, "agent": "bench"})).json()
    assert one["total"]["calls"] == 1
    both = (await client.get("/figures", params={**PERIOD, "by": "agent"})).json()
    assert [part["of"] for part in both["parts"]] == ["bench", "parcel"]


async def test_figures_by_number_are_those_of_our_numbers(
    client: AsyncClient, store: Store, database: Database
) -> None:
    await store(*whole_call(1), *whole_call(1, agent="bench"))
    async with database.transaction() as session:
        await session.execute(
            text("UPDATE calls SET from_number = '+15550100001', to_number = '+15550100002'")
        )
        await session.execute(text("UPDATE calls SET direction = 'outbound' WHERE agent = 'bench'"))
    report = (await client.get("/figures", params={**PERIOD, "by": "number"})).json()
    assert [part["of"] for part in report["parts"]] == ["+15550100001", "+15550100002"]


async def test_figures_of_nothing(client: AsyncClient) -> None:
    total = (await client.get("/figures", params=PERIOD)).json()["total"]
    assert (total["calls"], total["answer_rate"], total["talk_ratio"]) == (0, None, None)


async def test_too_long_a_period(client: AsyncClient) -> None:
    answer = await client.get("/figures", params={"since": "2020-01-01T00:00:00Z"})
    assert answer.status_code == 422
    assert "366 days" in answer.json()["detail"]


async def test_system_events_newest_first(client: AsyncClient, database: Database) -> None:
    for number in range(3):
        async with database.transaction() as session:
            add_event(session, "latency_regression", {"number": number})
    page = (await client.get("/system-events", params={"limit": 2})).json()
    assert [event["detail"]["number"] for event in page["events"]] == [2, 1]
    rest = (await client.get("/system-events", params={"cursor": page["next_cursor"]})).json()
    assert [event["detail"]["number"] for event in rest["events"]] == [0]
