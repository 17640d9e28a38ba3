"""The work after a call on a real database: every step once in effect, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.calls.service import close_abandoned
from app.db.session import Database
from app.outbox.repository import alone_with
from app.postcall.plan import CLASSIFY, INDEX, NOTIFY, REDACT, SCORE, STATISTICS, STEPS, SUMMARY
from app.postcall.record import FinishedCall
from app.postcall.steps import Done, StepFailed, StepRunner
from app.tasks.post_call import WORK, work_after
from app.tasks.tools import Tools
from app.voice.after_call import AfterCall
from app.voice.events import CallerWord, Outcome
from app.voice.profile import AgentProfile
from tests.app.calls.events import ended, noted, started, turn
from tests.app.tasks.conftest import Stored, make_agent, owed, states

NOW = datetime.now(UTC).replace(microsecond=0)


def call(**turns: Any) -> tuple[UUID, list[Any]]:
    """A call that ends now: its id, and its events."""
    begun = started(at=NOW - timedelta(seconds=30))
    one = turn(begun.call_id, at=NOW, **turns)
    return begun.call_id, [begun, one, noted(begun.call_id, at=NOW), ended(begun.call_id, at=NOW)]


def runner(tools: Tools, work: Mapping[str, Any]) -> StepRunner[Tools]:
    return StepRunner(tools.database, {**WORK, **work}, tools, tools.tries)


async def row(database: Database, statement: str) -> Any:
    async with database.transaction() as session:
        return (await session.execute(text(statement))).one()


async def stored_call(store: Stored, **turns: Any) -> UUID:
    """A call that ended, and owes its work."""
    call_id, events = call(**turns)
    await store(*events)
    return call_id


async def done_once(database: Database, call_id: UUID) -> bool:
    """Whether all of a call's steps are settled, each in one try."""
    settled = set((await states(database, call_id)).values()) == {"done", "skipped"}
    attempts = await row(database, "SELECT min(attempts), max(attempts) FROM call_steps")
    return settled and tuple(attempts) == (1, 1) and await owed(database) == []


async def hang(_: FinishedCall, __: Tools) -> Done:
    """A step that does not end."""
    await asyncio.sleep(60)
    raise AssertionError


async def test_the_end_of_a_call_is_owed_in_its_own_transaction(database: Database, store: Stored) -> None:
    call_id, events = call()
    await store(*events[:-1])
    assert await owed(database) == []
    await store(*events)
    assert await owed(database) == [call_id]
    leg = await row(database, "SELECT * FROM legs")
    assert (leg.call_id, leg.index, leg.cause, leg.ended_at) == (call_id, 0, "caller", NOW)


async def test_an_end_that_is_reported_twice_is_owed_once(
    database: Database, store: Stored, tools: Tools
) -> None:
    call_id, events = call()
    await store(*events)
    await work_after(call_id, tools)
    assert await owed(database) == []
    await store(*events)
    assert await owed(database) == []


async def test_all_steps_are_done_and_nothing_is_owed(
    database: Database, store: Stored, tools: Tools
) -> None:
    call_id = await stored_call(store)
    await work_after(call_id, tools)
    found = await states(database, call_id)
    assert list(STEPS) == [step for step in STEPS if step in found]
    assert {step for step, state in found.items() if state == "done"} == {
        STATISTICS, INDEX, SUMMARY, "judge_sentiment",
    }  # fmt: skip
    assert await done_once(database, call_id)
    stored = await row(database, "SELECT * FROM calls")
    assert (stored.turn_count, stored.barge_ins, stored.interruptions) == (1, 1, 0)
    assert stored.caller_seconds == pytest.approx(1.9)
    assert stored.sentiment == "neutral"


async def test_done_again_it_changes_nothing(database: Database, store: Stored, tools: Tools) -> None:
    call_id = await stored_call(store)
    for _ in range(3):
        await work_after(call_id, tools)
    assert await done_once(database, call_id)


async def test_a_call_that_is_gone_is_owed_no_more(database: Database, store: Stored, tools: Tools) -> None:
    call_id = await stored_call(store)
    async with database.transaction() as session:
        await session.execute(text("DELETE FROM calls"))
    await work_after(call_id, tools)
    assert await owed(database) == []


async def test_one_worker_at_a_time(database: Database, store: Stored, tools: Tools) -> None:
    call_id = await stored_call(store)
    async with alone_with(database.engine, call_id) as alone:
        assert alone
        await work_after(call_id, tools)
        assert await states(database, call_id) == {}
    await asyncio.gather(*(work_after(call_id, tools) for _ in range(4)))
    assert await done_once(database, call_id)


async def test_a_step_that_fails_is_tried_alone_and_the_rest_goes_on(
    database: Database, store: Stored, tools: Tools
) -> None:
    call_id = await stored_call(store)
    tries = []

    async def fail_once(record: FinishedCall, tools: Tools) -> Done:
        tries.append(record.id)
        if len(tries) == 1:
            raise StepFailed("the model is asleep; wake it")
        return await WORK[SUMMARY](record, tools)

    work = runner(tools, {SUMMARY: fail_once})
    await work.run(call_id)
    found = await states(database, call_id)
    assert found[SUMMARY] == found[NOTIFY] == "waiting"  # the message waits for the summary
    assert found[INDEX] == found[STATISTICS] == "done"
    kept = await row(database, "SELECT error, attempts FROM call_steps WHERE step = 'summarise'")
    assert tuple(kept) == ("the model is asleep; wake it", 1)
    due = await row(
        database,
        "SELECT outbox.due_at = call_steps.due_at AS same FROM outbox, call_steps WHERE step = 'summarise'",
    )
    assert due.same
    await asyncio.sleep(0.06)
    await work.run(call_id)
    assert set((await states(database, call_id)).values()) == {"done", "skipped"}
    assert len(tries) == 2
    assert await owed(database) == []


async def test_what_fails_for_good_holds_up_only_what_needs_it(
    database: Database, store: Stored, tools: Tools
) -> None:
    call_id = await stored_call(store, text="my secret is sesame")

    async def fail(_: FinishedCall, __: Tools) -> Done:
        raise ValueError("my secret is sesame")

    for _ in range(3):
        await runner(tools, {SUMMARY: fail}).run(call_id)
        await asyncio.sleep(0.25)
    found = await states(database, call_id)
    assert found[SUMMARY] == "failed"
    assert found[NOTIFY] == "skipped"  # nobody asked to be told: it did not wait for ever
    assert await owed(database) == []
    kept = await row(database, "SELECT error FROM call_steps WHERE step = 'summarise'")
    assert "sesame" not in kept.error
    assert "ValueError" in kept.error


async def test_nothing_is_made_of_words_that_could_not_be_redacted(
    database: Database, store: Stored, tools: Tools
) -> None:
    call_id = await stored_call(store)

    async def fail(_: FinishedCall, __: Tools) -> Done:
        raise StepFailed("no", final=True)

    await runner(tools, {REDACT: fail}).run(call_id)
    found = await states(database, call_id)
    assert {found[step] for step in (REDACT, INDEX, SUMMARY, CLASSIFY, SCORE, NOTIFY)} == {"failed"}
    assert found[STATISTICS] == "done"
    kept = await row(database, "SELECT error FROM call_steps WHERE step = 'summarise'")
    assert "redact failed" in kept.error


async def test_a_step_that_takes_too_long_is_cut_off(database: Database, store: Stored, tools: Tools) -> None:
    call_id = await stored_call(store)

    tools.tries = replace(tools.tries, step_seconds=0.05)
    await runner(tools, {SUMMARY: hang}).run(call_id)
    kept = await row(database, "SELECT state, error FROM call_steps WHERE step = 'summarise'")
    assert kept.state == "waiting"
    assert "STEP_SECONDS" in kept.error


async def test_a_worker_that_dies_in_a_step_leaves_it_to_the_next(
    database: Database, store: Stored, tools: Tools
) -> None:
    call_id = await stored_call(store)
    arrived = asyncio.Event()

    async def arrive(call: FinishedCall, tools: Tools) -> Done:
        arrived.set()
        return await hang(call, tools)

    dying = asyncio.create_task(runner(tools, {SUMMARY: arrive}).run(call_id))
    await arrived.wait()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    assert (await states(database, call_id))[SUMMARY] == "waiting"
    assert await owed(database) == [call_id]
    await work_after(call_id, tools)
    assert await done_once(database, call_id)


async def test_an_end_that_is_corrected_has_all_of_it_done_again(
    database: Database, store: Stored, tools: Tools
) -> None:
    call_id, events = call()
    await store(*events)
    await work_after(call_id, tools)
    await store(replace(events[-1], outcome=Outcome.SUCCESS))
    assert await owed(database) == [call_id]
    assert set((await states(database, call_id)).values()) == {"waiting"}
    await work_after(call_id, tools)
    assert set((await states(database, call_id)).values()) == {"done", "skipped"}


async def test_a_step_that_is_reset_while_it_is_done_is_done_once_more(
    database: Database, store: Stored, tools: Tools
) -> None:
    call_id, events = call()
    await store(*events)
    seen = []

    async def slow(record: FinishedCall, tools: Tools) -> Done:
        seen.append(record.outcome)
        if len(seen) == 1:
            await store(replace(events[-1], outcome=Outcome.SUCCESS))
        return await WORK[SUMMARY](record, tools)

    work = runner(tools, {SUMMARY: slow})
    await work.run(call_id)
    assert await owed(database) == [call_id]
    await work.run(call_id)
    assert seen == ["caller", "success"]
    assert await owed(database) == []


async def test_turns_that_come_after_the_end_are_worked_up_too(
    database: Database, store: Stored, tools: Tools
) -> None:
    call_id = await stored_call(store)
    await work_after(call_id, tools)
    await store(turn(call_id, 1, at=NOW - timedelta(seconds=20), text="goodbye"))
    await work_after(call_id, tools)
    assert (await row(database, "SELECT turn_count FROM calls")).turn_count == 2


async def test_a_step_of_another_version_of_the_code_holds_up_nothing(
    database: Database, store: Stored, tools: Tools
) -> None:
    call_id = await stored_call(store)
    async with database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO call_steps (call_id, step, started_at, state) "
                "SELECT id, 'translate', started_at, 'waiting' FROM calls"
            )
        )
    await work_after(call_id, tools)
    assert await owed(database) == []
    assert (await states(database, call_id))["translate"] == "waiting"


async def test_who_asks_for_calls_is_told_at_once_but_not_while_turned_off(
    database: Database, store: Stored, tools: Tools
) -> None:
    async def told() -> int:
        async with asyncio.timeout(0.2):
            await tools.sender.pause(60.0)
        return int((await row(database, "SELECT count(*) FROM webhook_deliveries"))[0])

    async with database.transaction() as session:
        for enabled in (True, False):
            endpoint = {"id": uuid4(), "enabled": enabled}
            await session.execute(
                text(
                    "INSERT INTO webhook_endpoints (id, url, title, secret, events, enabled) "
                    "VALUES (:id, 'https://crm.example.com', '', 'whsec_', '{call.ended}', :enabled)"
                ),
                endpoint,
            )
    call_id = await stored_call(store)
    await work_after(call_id, tools)
    assert await told() == 1


async def test_nobody_sends_where_nobody_is_told(store: Stored, tools: Tools) -> None:
    await work_after(await stored_call(store), tools)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await tools.sender.pause(60.0)


async def test_the_work_after_an_abandoned_call_waits_for_its_spool(
    database: Database, store: Stored
) -> None:
    call_id, events = call()
    await store(*events[:-1])
    async with database.transaction() as session:
        await session.execute(text("UPDATE instances SET heartbeat_at = now() - interval '1 minute'"))
        assert await close_abandoned(session) == 1
    waits = await row(database, "SELECT call_id, extract(epoch FROM due_at - now()) AS seconds FROM outbox")
    assert waits.call_id == call_id
    assert 55 < waits.seconds <= 60


async def test_personal_data_is_taken_out_before_anything_is_made_of_it(
    database: Database, store: Stored, tools: Tools
) -> None:
    await make_agent(database, AgentProfile(name="parcel", after=AfterCall(redact=True)))
    call_id, events = call(
        text="my card number is four one one one one one one one one one one one one one one one"
    )
    words = tuple(CallerWord("one", 1.0 + index, 1.1 + index) for index in range(3))
    events[1] = replace(events[1], caller_words=words)
    keyed = replace(noted(call_id, "dtmf", at=NOW), detail={"digit": "7"})
    await store(*events[:-1], keyed, events[-1])
    await work_after(call_id, tools)
    stored = await row(database, "SELECT * FROM turns")
    assert stored.caller_text == "my card number is [card number]"
    assert (await row(database, "SELECT redacted_at FROM calls")).redacted_at is not None
    kept = await row(database, "SELECT detail FROM call_events WHERE name = 'dtmf'")
    assert kept.detail == {"digit": "*"}
    results = await row(database, "SELECT string_agg(result::text, ' ') AS all FROM call_steps")
    assert "four one" not in results.all
    found = await row(database, "SELECT result FROM call_steps WHERE step = 'redact'")
    assert found.result["found"] == {"card number": 1}
    assert found.result["spans"]
    document = await row(database, "SELECT document::text AS words FROM call_texts")
    assert "four" not in document.words
