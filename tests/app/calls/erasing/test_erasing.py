"""Erasing a caller: nothing is left anywhere, and what cannot go now goes later."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.api import ApiParts
from app.audit.service import OURSELVES
from app.auth.service import Role
from app.calls.erasing.caller import OwnNumber, erase_caller, erase_waiting, hashed
from app.calls.erasing.days import Days, Retention
from app.calls.erasing.retention import apply_retention
from app.db.session import Database
from app.outbox.repository import alone_with
from app.recordings.flac import part_of
from app.recordings.keys import key_of
from app.recordings.ports import Places
from tests.app.api_client import api_client
from tests.app.calls.erasing.made import (
    CALLER,
    NOW,
    OTHER,
    Away,
    counts,
    end_call,
    execute,
    files,
    is_gone,
    make_call,
    scalar,
)
from tests.fakes.carrier_recordings import FakeCarrierRecordings

KEY = b"a key"


async def test_every_trace_of_a_caller_is_deleted_and_nobody_elses(
    database: Database, places: Places
) -> None:
    mine = [await make_call(database, places.folder) for _ in range(2)]
    other = await make_call(database, places.folder, OTHER)
    before = await counts(database, other)
    assert set(before.values()) == {1}
    done = await erase_caller(database, places, CALLER, KEY, OURSELVES)
    for call_id in mine:
        assert await is_gone(database, call_id)
    assert await counts(database, other) == before
    assert files(places.folder) == [str(other)]
    assert (done.rows["calls"], done.rows["turns"], done.files, done.waiting) == (2, 2, 2, 0)
    entry = await scalar(
        database, "SELECT row_to_json(audit_log)::text FROM audit_log WHERE action = 'erase'"
    )
    assert hashed(CALLER, KEY) in entry
    assert CALLER not in entry
    again = await erase_caller(database, places, CALLER, KEY, OURSELVES)
    assert (again.rows.get("calls", 0), again.hash) == (0, done.hash)


async def test_what_is_stored_meanwhile_is_deleted_too(database: Database, places: Places) -> None:
    call_id = await make_call(database, places.folder)
    async with asyncio.TaskGroup() as tasks, database.transaction() as storing:
        await storing.execute(text("SELECT FROM calls WHERE id = :call FOR KEY SHARE"), {"call": call_id})
        tasks.create_task(erase_caller(database, places, CALLER, KEY, OURSELVES))
        await asyncio.sleep(0.5)
        await storing.execute(
            text(
                "INSERT INTO call_events (call_id, number, at, name, detail) "
                "VALUES (:call, 999, now(), 'dtmf', '{}')"
            ),
            {"call": call_id},
        )
    assert await is_gone(database, call_id)


async def test_a_running_call_is_erased_once_it_is_over(database: Database, places: Places) -> None:
    call_id = await make_call(database, places.folder, live=True)
    done = await erase_caller(database, places, CALLER, KEY, OURSELVES)
    assert (done.rows.get("calls", 0), done.waiting) == (0, 1)
    assert await erase_waiting(database, places) == 0
    await end_call(database, call_id)
    async with alone_with(database.engine, call_id):
        assert await erase_waiting(database, places) == 0  # a worker is at it
    assert await erase_waiting(database, places) == 1
    assert await is_gone(database, call_id)
    assert files(places.folder) == []
    assert await erase_waiting(database, places) == 0


async def test_a_recording_that_stays_holds_up_no_other_call(
    database: Database, places: Places, away: Away
) -> None:
    places = replace(places, store=away)
    calls = [await make_call(database, places.folder) for _ in range(2)]
    stuck, free = sorted(calls)  # as they are erased
    live = await make_call(database, places.folder, live=True)
    away.refused = {key_of(stuck, NOW)}
    done = await erase_caller(database, places, CALLER, KEY, OURSELVES)
    assert (done.rows["calls"], done.waiting) == (1, 2)
    assert await is_gone(database, free)
    await end_call(database, live)
    assert await erase_waiting(database, places) == 1
    assert await is_gone(database, live)
    assert (await counts(database, stuck))["turns"] == 1
    away.refused = set()
    assert await erase_waiting(database, places) == 1
    assert await is_gone(database, stuck)


async def test_all_calls_are_owed_before_the_first_is_erased(
    database: Database, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [await make_call(database, places.folder, live=live) for live in (False, False, True)]

    async def killed(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(places.store, "delete", killed)
        with pytest.raises(ExceptionGroup):
            await erase_caller(database, places, CALLER, KEY, OURSELVES)
    await end_call(database, calls[-1])
    assert await erase_waiting(database, places) == 3
    for call_id in calls:
        assert await is_gone(database, call_id)


async def test_what_is_owed_outlasts_the_deletion_of_words(database: Database, places: Places) -> None:
    call_id = await make_call(database, places.folder, at=NOW - timedelta(days=3))
    async with alone_with(database.engine, call_id):
        assert (await erase_caller(database, places, CALLER, KEY, OURSELVES)).waiting == 1
    await apply_retention(database, places, Retention(transcripts=Days(1)))
    assert await scalar(database, "SELECT string_agg(topic, ' ') FROM outbox") == "erase"
    assert await erase_waiting(database, places) == 1
    assert await is_gone(database, call_id)


async def test_no_copy_of_the_sound_is_left(database: Database, places: Places, away: Away) -> None:
    carrier = FakeCarrierRecordings()
    places = replace(places, store=away, carrier=carrier)
    waits, moved, carriers, killed, there = [await make_call(database, places.folder) for _ in range(5)]
    for call_id, change in (
        (moved, "state = 'kept', store = 'local'"),
        (carriers, "source = 'carrier'"),
        (there, "state = 'kept', store = 's3'"),
    ):
        await execute(database, f"UPDATE recordings SET {change} WHERE call_id = :call", call=call_id)
    await away.put(places.folder / key_of(there, NOW), key_of(there, NOW))
    await execute(database, "DELETE FROM recordings WHERE call_id = :call", call=killed)
    file = places.folder / key_of(killed, NOW)
    file.rename(part_of(file))
    done = await erase_caller(database, places, CALLER, KEY, OURSELVES)
    assert (done.rows["calls"], done.waiting, done.files) == (5, 0, 4)
    assert not [file for file in places.folder.parent.rglob("*") if file.is_file()]
    assert carrier.asked == ["find", "delete"]
    assert await is_gone(database, waits)


async def test_our_own_number_is_nobodys_to_erase(database: Database, places: Places) -> None:
    async with database.transaction() as session:
        await session.execute(text("INSERT INTO agents (name, active_version) VALUES ('parcel', 1)"))
        await session.execute(
            text("INSERT INTO numbers (number, agent, title) VALUES (:number, 'parcel', '')"),
            {"number": CALLER},
        )
    with pytest.raises(OwnNumber):
        await erase_caller(database, places, CALLER, KEY, OURSELVES)


async def test_an_administrator_erases_over_http(database: Database, places: Places) -> None:
    call_id = await make_call(database, places.folder)
    parts = ApiParts(recordings=places, erasure_key=KEY)
    async with api_client(database, Role.OPERATOR, parts) as api:
        assert (await api.post("/erasures", json={"caller": CALLER})).status_code == 403
    async with api_client(database, Role.ADMIN, parts) as api:
        assert (await api.post("/erasures", json={"caller": "12345"})).status_code == 422
        assert (await api.post("/erasures", json={"caller": "+999123456789"})).status_code == 200  # made up
        done = await api.post("/erasures", json={"caller": CALLER})
    assert done.status_code == 200
    assert done.json()["rows"]["calls"] == 1
    assert await is_gone(database, call_id)


async def test_a_call_that_is_gone_is_owed_no_more(database: Database, places: Places) -> None:
    await execute(database, "INSERT INTO outbox (topic, call_id) VALUES ('erase', :call)", call=uuid4())
    assert await erase_waiting(database, places) == 0
    assert await scalar(database, "SELECT count(*) FROM outbox") == 0
