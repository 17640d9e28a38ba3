"""``/api/v1/calls`` over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from httpx import AsyncClient

from app.db.session import Database
from app.voice.events import Outcome
from tests.app.api_client import api_client
from tests.app.calls.conftest import Store
from tests.app.calls.events import NOON, ended, noted, started, turn, whole_call


@pytest.fixture
async def client(database: Database) -> AsyncIterator[AsyncClient]:
    async with api_client(database) as client:
        yield client


async def test_a_call_shows_what_was_said_and_heard(client: AsyncClient, store: Store) -> None:
    call_id = uuid4()
    await store(started(call_id), turn(call_id), noted(call_id), ended(call_id))

    answer = await client.get(f"/calls/{call_id}")

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "id": str(call_id),
        "carrier": "twilio",
        "carrier_call_id": f"CA{call_id.hex}",
        "direction": "inbound",
        "from_number": "+15550001111",
        "to_number": "+15550002222",
        "agent": "parcel",
        "agent_version": 1,
        "started_at": "2026-03-01T12:00:00Z",
        "ended_at": "2026-03-01T12:00:30Z",
        "duration_seconds": 30.0,
        "cause": "caller",
        "outcome": "caller",
        "language": None,
        "prompt": None,
        "prompt_version": None,
        "voice": None,
        "disposition": None,
        "sentiment": None,
        "score": None,
        "turn_count": None,
        "barge_ins": None,
        "interruptions": None,
        "caller_seconds": None,
        "agent_seconds": None,
        "redacted_at": None,
        "words_deleted_at": None,
        "legs": [
            {
                "index": 0,
                "carrier": "twilio",
                "carrier_call_id": f"CA{call_id.hex}",
                "direction": "inbound",
                "from_number": "+15550001111",
                "to_number": "+15550002222",
                "answered_at": "2026-03-01T12:00:00Z",
                "ended_at": "2026-03-01T12:00:30Z",
                "cause": "caller",
            }
        ],
        "turns": [
            {
                "index": 0,
                "at": "2026-03-01T12:00:00Z",
                "caller_text": "where is my parcel",
                "caller_started": 1.0,
                "caller_ended": 2.5,
                "caller_words": [
                    {"text": "where", "started": 1.0, "ended": 1.25, "confidence": 0.988},
                    {"text": "is", "started": 1.25, "ended": 1.4, "confidence": None},
                ],
                "caller_confidence": 0.912,
                "caller_language": "en-US",
                "reply_text": "It arrives tomorrow. Anything else?",
                "heard_text": "It arrives",
                "reply_started": None,
                "reply_ended": None,
                "interrupted": True,
                "backchannels": [{"text": "mm-hmm", "kind": "backchannel", "started": 4.0, "ended": 4.4}],
                "latency_ms": {
                    "stt": 90.0,
                    "endpoint": 300.0,
                    "llm": 150.0,
                    "phrase": 40.0,
                    "tts": 80.0,
                    "send": 5.0,
                    "response": 575.0,
                },
            }
        ],
        "events": [
            {
                "at": "2026-03-01T12:00:00Z",
                "name": "barge_in",
                "detail": {"seconds": 1.5, "words": 3, "late": False},
            }
        ],
    }


async def test_a_running_call_has_no_end(client: AsyncClient, store: Store) -> None:
    call = started()
    await store(call)
    found = (await client.get("/calls")).json()["calls"][0]
    assert [found[name] for name in ("ended_at", "duration_seconds", "cause", "outcome")] == [None] * 4


async def test_pages_hold_every_call_once_newest_first(client: AsyncClient, store: Store) -> None:
    for minute in range(10):
        await store(
            started(at=NOON + timedelta(minutes=minute)), started(at=NOON + timedelta(minutes=minute))
        )
    seen: list[str] = []
    times: list[datetime] = []
    query: dict[str, str] = {"limit": "3"}
    while True:
        answer = await client.get("/calls", params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        seen += [call["id"] for call in page["calls"]]
        times += [datetime.fromisoformat(call["started_at"]) for call in page["calls"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
        await store(started(at=NOON + timedelta(hours=1)))  # new calls shift nothing
    assert len(seen) == len(set(seen)) == 20
    assert times == sorted(times, reverse=True)


async def test_filters(client: AsyncClient, store: Store) -> None:
    hour = timedelta(hours=1)
    await store(
        *whole_call(at=NOON, agent="parcel", outcome=Outcome.SUCCESS),
        *whole_call(at=NOON + hour, agent="bench", outcome=Outcome.CALLER),
        *whole_call(at=NOON + 2 * hour, agent="parcel", outcome=Outcome.CALLER),
    )

    async def hours(**query: str) -> list[int]:
        answer = await client.get("/calls", params=query)
        assert answer.status_code == 200, answer.text
        return [
            (datetime.fromisoformat(call["started_at"]) - NOON) // hour for call in answer.json()["calls"]
        ]

    assert await hours() == [2, 1, 0]
    assert await hours(agent="parcel") == [2, 0]
    assert await hours(outcome="caller") == [2, 1]
    assert await hours(agent="parcel", outcome="caller") == [2]
    assert await hours(since="2026-03-01T13:00:00Z") == [2, 1]
    assert await hours(until="2026-03-01T14:00:00+01:00") == [0]
    assert await hours(agent="nobody") == []


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/calls?limit=0", "query.limit"),
        ("/calls?limit=many", "query.limit"),
        ("/calls?outcome=fine", "query.outcome"),
        ("/calls?since=yesterday", "query.since"),
        ("/calls?since=2026-03-01T12:00:00", "query.since"),
        ("/calls?agent=a%00b", "query.agent"),
        ("/calls?cursor=!", "query.cursor"),
        ("/calls?cursor=WzEsMl0", "query.cursor"),
        ("/calls?cursor=bnVsbA", "query.cursor"),
        ("/calls?cursor=%C3%A9", "query.cursor"),
        ("/calls/17", "path.call_id"),
    ],
)
async def test_a_wrong_value_is_named(client: AsyncClient, path: str, field: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert [error["field"] for error in problem["errors"]] == [field]
    assert field in problem["detail"]


async def test_a_time_beyond_the_calendar_is_refused(client: AsyncClient) -> None:
    answer = await client.get("/calls", params={"since": "0001-01-01T00:00:00+14:00"})
    assert answer.status_code == 422


async def test_an_unknown_call(client: AsyncClient) -> None:
    answer = await client.get(f"/calls/{uuid4()}")
    assert answer.status_code == 404
    assert answer.json()["status"] == 404
    assert answer.json()["detail"].startswith("there is no call ")
