"""Events that come late or again: nothing comes back of erased calls, and what is not new makes no work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from app.calls.erasing.tables import Found, delete_calls
from app.calls.presence import Presence
from app.calls.recorder import Recorder
from app.calls.writing.rows import Entry, write_entries
from app.db.session import Database
from app.voice.events import CallRecord, RecordingFinished
from tests.app.calls.conftest import Store
from tests.app.calls.events import NOON, ended, noted, started, turn, whole_call
from tests.app.calls.test_recorder import count, lost

TABLES = ("calls", "legs", "turns", "call_events", "recordings", "outbox")
Write = Callable[..., Awaitable[None]]


def recording(call_id: UUID) -> RecordingFinished:
    return RecordingFinished(call_id, NOON, f"{call_id}.flac", "flac", 2, 8000, 30.0, ((1.0, 2.0),), "kept")


@pytest.fixture
def write(database: Database, presence: Presence) -> Write:
    """Write events of the same call, numbered from 1, in one transaction."""

    async def write(*events: CallRecord) -> None:
        async with database.transaction() as session:
            await write_entries(session, [Entry(n, event) for n, event in enumerate(events, 1)], presence.id)

    return write


async def rows(database: Database) -> dict[str, int]:
    return {table: await count(database, table) for table in TABLES}


async def erase(database: Database, call_id: UUID) -> None:
    async with database.transaction() as session:
        await delete_calls(session, [Found(call_id, NOON)])


async def test_what_comes_after_an_erasure_is_passed_over(
    database: Database, recorder: Recorder, store: Store
) -> None:
    """The process that answered learns how the carrier ended the call, and has the recording, only then."""
    erased, other = whole_call(), whole_call()
    call_id = erased[0].call_id
    await store(*erased, *other)
    await erase(database, call_id)
    before = {reason: lost(reason) for reason in ("refused", "orphaned")}
    await store(
        turn(call_id, 7), noted(call_id, "carrier_status"), recording(call_id), noted(other[0].call_id)
    )
    await store(ended(call_id))
    assert await rows(database) == dict(zip(TABLES, (1, 1, 2, 2, 0, 1), strict=True))
    assert {reason: lost(reason) for reason in before} == before


async def test_a_process_that_was_cut_off_brings_nothing_back(
    database: Database, recorder: Recorder, store: Store
) -> None:
    """Another one ended its call, which was erased; for the process itself the call goes on."""
    call = started()
    await store(call, turn(call.call_id, 0))
    await erase(database, call.call_id)
    await store(turn(call.call_id, 1), noted(call.call_id), ended(call.call_id))
    assert set((await rows(database)).values()) == {0}


async def test_words_that_were_deleted_because_of_their_age_stay_so(database: Database, write: Write) -> None:
    events = whole_call()
    call_id = events[0].call_id
    await write(*events)
    async with database.transaction() as session:
        await session.execute(text("UPDATE calls SET words_deleted_at = now()"))
    before = await rows(database)
    await write(turn(call_id, 7), noted(call_id, "dtmf"), recording(call_id))
    assert await rows(database) == before


async def steps(database: Database) -> list[str]:
    async with database.transaction() as session:
        return list(await session.scalars(text("SELECT state FROM call_steps")))


async def do_the_work(database: Database, call_id: UUID) -> None:
    async with database.transaction() as session:
        await session.execute(
            text("INSERT INTO call_steps (call_id, step, started_at, state) VALUES (:id, 'x', :at, 'done')"),
            {"id": call_id, "at": NOON},
        )
        await session.execute(text("DELETE FROM outbox"))


async def test_a_call_that_is_stored_again_has_no_work_done_again(database: Database, write: Write) -> None:
    """A spool is stored from its beginning, also where the database has some of it."""
    events = whole_call()
    call_id = events[0].call_id
    await write(*events, recording(call_id))
    await do_the_work(database, call_id)
    await write(*events, recording(call_id))
    await write(events[1], recording(call_id))
    assert await steps(database) == ["done"]
    assert await count(database, "outbox") == 0


@pytest.mark.parametrize("late", [lambda call_id: turn(call_id, 7), recording])
async def test_what_is_new_after_the_end_has_the_work_done_again(
    database: Database, write: Write, late: Callable[[UUID], CallRecord]
) -> None:
    events = whole_call()
    call_id = events[0].call_id
    await write(*events)
    await do_the_work(database, call_id)
    await write(late(call_id))
    assert await steps(database) == ["waiting"]
    assert await count(database, "outbox") == 1


async def test_recordings_of_many_calls_share_a_statement(database: Database, write: Write) -> None:
    calls = [whole_call() for _ in range(3)]
    kept, failed, unknown = (events[0].call_id for events in calls)
    await write(*calls[0], *calls[1])
    failure = replace(recording(failed), state="failed", duration=0.0, pauses=())
    await write(recording(kept), failure, recording(unknown), recording(kept))
    async with database.transaction() as session:
        found = await session.execute(text("SELECT call_id, state, duration_seconds, pauses FROM recordings"))
        assert sorted(tuple(row) for row in found) == sorted(
            [(kept, "recorded", 30.0, [[1.0, 2.0]]), (failed, "failed", 0.0, [])]
        )


async def test_hours_are_counted_again_for_new_turns_alone(database: Database, write: Write) -> None:
    hour = (datetime.now(UTC) - timedelta(hours=5)).replace(minute=0, second=0, microsecond=0)
    call = started(at=hour)
    await write(call, turn(call.call_id, 0, at=hour))
    async with database.transaction() as session:
        await session.execute(text("INSERT INTO latency_counted (hour) VALUES (:hour)"), {"hour": hour})
    await write(call, turn(call.call_id, 0, at=hour))
    assert await count(database, "latency_counted") == 1
    await write(turn(call.call_id, 1, at=hour))
    assert await count(database, "latency_counted") == 0
