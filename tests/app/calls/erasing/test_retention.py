"""What was kept long enough goes: for each agent by its own days, and each call once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from app.calls.erasing import retention
from app.calls.erasing.days import Days, Retention, read_retention
from app.calls.erasing.retention import apply_retention
from app.db.session import Database
from app.outbox.repository import alone_with
from app.recordings.keys import key_of
from app.recordings.ports import Places
from app.voice.after_call import Retention as Promised
from tests.app.calls.erasing.made import (
    NOW,
    Away,
    counts,
    execute,
    files,
    is_gone,
    make_call,
    partitions_from,
    scalar,
)

OLD = NOW - timedelta(days=40)


async def make_agent(
    database: Database, name: str, profile: dict[str, Any], *, archived: bool = False
) -> None:
    await execute(
        database,
        "INSERT INTO agents (name, active_version, archived_at) "
        f"VALUES (:name, 1, {'now()' if archived else 'NULL'})",
        name=name,
    )
    await execute(
        database,
        "INSERT INTO agent_versions (agent, version, profile, content_hash) "
        "VALUES (:name, 1, CAST(:profile AS jsonb), '')",
        name=name,
        profile=orjson.dumps(profile).decode(),
    )


async def read(database: Database, **usual: int) -> Retention:
    async with database.transaction() as session:
        return await read_retention(session, Promised(**usual))


async def test_recordings_words_and_calls_go_when_their_time_is_over(
    database: Database, places: Places
) -> None:
    await partitions_from(database, OLD)
    first = await make_call(database, places.folder, at=OLD)
    new = await make_call(database, places.folder)
    kept = Retention(recordings=Days(30))
    await apply_retention(database, places, kept)
    assert files(places.folder) == [str(new)]
    assert (await counts(database, first))["turns"] == 1

    await apply_retention(database, places, Retention(transcripts=Days(30)))
    left = await counts(database, first)
    assert {table for table, count in left.items() if count} == {"calls", "turns", "legs"}
    words = await scalar(database, f"SELECT caller_text || heard_text FROM turns WHERE call_id = '{first}'")
    assert words == ""

    await apply_retention(database, places, Retention(calls=Days(30, {"parcel": 60})))
    assert (await counts(database, first))["calls"] == 1  # its agent keeps them longer
    await apply_retention(database, places, Retention(calls=Days(30, {"other": 0})))
    assert await is_gone(database, first)
    assert set((await counts(database, new)).values()) == {1}


async def test_words_go_once_and_what_was_made_of_them_with_them(database: Database, places: Places) -> None:
    await make_call(database, places.folder, at=OLD)
    await execute(database, "UPDATE calls SET disposition = 'solved', sentiment = 'positive', score = 1")
    keep = Retention(transcripts=Days(30))
    assert (await apply_retention(database, places, keep))["transcripts"]["calls"] == 1
    results = "SELECT concat(disposition, sentiment, score, redacted_at) FROM calls"
    assert await scalar(database, results) == ""
    assert await scalar(database, "SELECT words_deleted_at IS NOT NULL FROM calls")
    assert (await apply_retention(database, places, keep))["transcripts"].get("calls", 0) == 0


async def test_calls_that_cannot_go_yet_hold_up_no_other(
    database: Database, places: Places, away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PAGE", 2)
    monkeypatch.setattr(retention, "BATCH", 1)
    places = Places(places.folder, away)
    begin = [OLD + timedelta(minutes=minute) for minute in range(5)]
    calls = [await make_call(database, places.folder, at=at) for at in begin]
    away.refused = {key_of(calls[1], begin[1])}

    async def gone() -> list[bool]:
        return [await is_gone(database, call_id) for call_id in calls]

    keep = Retention(recordings=Days(30), transcripts=Days(30), calls=Days(30))
    async with alone_with(database.engine, calls[0]):
        await apply_retention(database, places, keep)
        assert await gone() == [False, False, True, True, True]
        assert (await counts(database, calls[0]))["recordings"] == 1
    away.refused = set()
    await apply_retention(database, places, keep)
    assert await gone() == [True] * 5


async def test_calls_of_an_archived_agent_are_kept_as_it_promised(database: Database, places: Places) -> None:
    promised = {"after": {"retention": {"calls_days": 3650}}}
    await make_agent(database, "long", promised, archived=True)
    await make_agent(database, "short", {"after": {"retention": {"calls_days": 30}}}, archived=True)
    await make_agent(database, "usual", {})
    long = await make_call(database, places.folder, at=OLD, agent="long")
    short = await make_call(database, places.folder, at=OLD, agent="short")
    await apply_retention(database, places, await read(database))
    assert (await counts(database, long))["calls"] == 1
    assert await is_gone(database, short)
    await apply_retention(database, places, await read(database, calls_days=30))
    assert (await counts(database, long))["calls"] == 1


@pytest.mark.parametrize(
    "profile",
    [
        {"after": {"retention": {"calls_days": 10**10}}},
        {"after": {"retention": {"calls_years": 1}}},
        {"after": []},
        "no profile",
    ],
)
async def test_of_an_agent_that_cannot_be_read_nothing_is_deleted(
    database: Database, places: Places, profile: Any
) -> None:
    await partitions_from(database, OLD - timedelta(days=40))
    await make_agent(database, "odd", profile)
    at = OLD - timedelta(days=40)
    odd = await make_call(database, places.folder, at=at, agent="odd")
    parcel = await make_call(database, places.folder, at=at)
    before = await counts(database, odd)
    days = {"recordings_days": 30, "transcripts_days": 30, "calls_days": 30}
    done = await apply_retention(database, places, await read(database, **days))
    assert await counts(database, odd) == before
    assert files(places.folder) == [str(odd)]
    assert await is_gone(database, parcel)
    assert "calls_partitions" not in done["calls"]  # it holds the other's call


async def test_a_call_that_goes_on_stays(database: Database, places: Places) -> None:
    live: UUID = await make_call(database, places.folder, at=OLD, live=True)
    await apply_retention(database, places, Retention(Days(1), Days(1), Days(1)))
    assert set((await counts(database, live)).values()) <= {0, 1}
    assert (await counts(database, live))["recordings"] == 1
