"""Latencies that grew are found, and those that only vary are not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pytest
from sqlalchemy import text

from app.db.session import Database
from app.reports.latency import count_closed_hours
from app.reports.regression import LEAST_TURNS, DayStage, Growth, growths
from app.reports.watching import watch_latency
from tests.app.calls.events import NOON

DAY = NOON.date()


def day(turns: int, factor: float, draw: np.random.Generator, *, wobble: float = 0.02) -> DayStage:
    """A day whose responses are log-normal about 600 ms, and whose median differs from other days'."""
    values = 600 * factor * draw.lognormal(0, wobble) * draw.lognormal(0, 0.35, turns)
    return DayStage(turns, {p: float(np.percentile(values, 100 * p)) for p in (0.5, 0.95)})


def week(draw: np.random.Generator, turns: int = 2000) -> list[DayStage]:
    return [day(turns, 1.0, draw) for _ in range(7)]


def test_a_fifth_more_is_found_and_noise_is_not() -> None:
    draw = np.random.default_rng(7)
    slower = [growths(day(2000, 1.2, draw), week(draw)) for _ in range(100)]
    as_before = [growths(day(2000, 1.0, draw), week(draw)) for _ in range(300)]
    assert sum(bool(found) for found in slower) >= 95
    assert sum(bool(found) for found in as_before) <= 1


def test_what_grew_and_from_what() -> None:
    before = [DayStage(1000, {0.5: 400.0 + n, 0.95: 800.0 + n}) for n in range(7)]
    assert growths(DayStage(1000, {0.5: 410.0, 0.95: 1000.0}), before) == (Growth(0.95, 803.0, 1000.0),)
    both = growths(DayStage(1000, {0.5: 600.0, 0.95: 1000.0}), before)
    assert [growth.percentile for growth in both] == [0.5, 0.95]
    assert growths(DayStage(1000, {0.5: 100.0, 0.95: 200.0}), before) == ()


def test_one_bad_day_before_hides_nothing() -> None:
    before = [DayStage(1000, {0.5: 400.0 + n, 0.95: 800.0 + n}) for n in range(7)]
    before[3] = DayStage(1000, {0.5: 4000.0, 0.95: 8000.0})
    assert growths(DayStage(1000, {0.5: 410.0, 0.95: 1000.0}), before)


def test_days_that_differ_much_by_nature_are_believed() -> None:
    before = [DayStage(1000, {0.5: 400.0, 0.95: value}) for value in (700, 900, 650, 1000, 800, 950, 720)]
    assert growths(DayStage(1000, {0.5: 400.0, 0.95: 1000.0}), before) == ()


@pytest.mark.parametrize("ms", [10.0, 45.0])
def test_milliseconds_that_nobody_hears_are_left(ms: float) -> None:
    before = [DayStage(1000, {0.5: 50.0, 0.95: 60.0 + n / 10}) for n in range(7)]
    assert growths(DayStage(1000, {0.5: 50.0, 0.95: 60.0 + ms}), before) == ()


def test_too_little_to_tell() -> None:
    draw = np.random.default_rng(1)
    slow, usual = day(2000, 2.0, draw), week(draw)
    assert growths(slow, usual)
    assert growths(replace(slow, turns=LEAST_TURNS - 1), usual) == ()
    assert growths(slow, usual[:2]) == ()
    assert growths(slow, usual[:2] + [replace(one, turns=10) for one in usual[2:]]) == ()


# In the database


_CALLS = text(
    """
    INSERT INTO calls (id, carrier, carrier_call_id, direction, from_number, to_number, agent,
                       agent_version, instance_id, started_at)
    VALUES (cast(:call AS uuid), 'twilio', 'CA' || :call, 'inbound', '+15550001111', '+15550002222', :agent,
            1, :instance, :at)
    """
)
_TURNS = text(
    """
    INSERT INTO turns (call_id, index, at, caller_text, reply_text, heard_text, interrupted, llm_ms,
                       response_ms)
    SELECT cast(:call AS uuid), place, :at, '', '', '', false, 100, value
    FROM unnest(cast(:values AS float[])) WITH ORDINALITY AS measured (value, place)
    """
)


async def fill(database: Database, agent: str, factors: list[float], turns: int = 400) -> None:
    """Responses of days, the last of which is ``DAY``."""
    draw = np.random.default_rng(3)
    async with database.transaction() as session:
        instance = await session.scalar(
            text("INSERT INTO instances (id, host, pid) VALUES (gen_random_uuid(), 'here', 1) RETURNING id")
        )
        for back, factor in enumerate(reversed(factors)):
            at = datetime.combine(DAY, time(10, 30), UTC) - timedelta(days=back)
            call = await session.scalar(text("SELECT gen_random_uuid()::text"))
            values = (600 * factor * draw.lognormal(0, 0.3, turns)).tolist()
            await session.execute(_CALLS, {"call": call, "agent": agent, "instance": instance, "at": at})
            await session.execute(_TURNS, {"call": call, "at": at, "values": values})


async def test_an_agent_that_became_slower_is_told_of_once(database: Database) -> None:
    await fill(database, "slower", [1.0] * 7 + [1.4])
    await fill(database, "steady", [1.0] * 8)
    await count_closed_hours(database, now=NOON + timedelta(days=1))
    for told in (1, 0, 0):
        async with database.transaction() as session:
            found = await watch_latency(session, DAY)
        assert len(found) == told
    async with database.transaction() as session:
        (event,) = (await session.execute(text("SELECT name, detail FROM system_events"))).all()
    assert event.name == "latency_regression"
    grown = event.detail.pop("grown")
    assert event.detail == {
        "day": "2026-03-01",
        "agent": "slower",
        "stage": "response",
        "turns": 400,
        "days_before": 7,
    }
    assert [one["percentile"] for one in grown] == [50, 95]
    assert all(one["after_ms"] > 1.2 * one["before_ms"] for one in grown)


async def test_days_without_calls_are_nothing_to_tell_of(database: Database) -> None:
    async with database.transaction() as session:
        assert await watch_latency(session, DAY) == []


async def test_each_day_is_told_of_for_itself(database: Database) -> None:
    await fill(database, "slower", [1.0] * 6 + [1.4, 1.4])
    for day_after in (DAY - timedelta(days=1), DAY):
        async with database.transaction() as session:
            assert [found.day for found in await watch_latency(session, day_after)] == [day_after]
