"""The database stops during calls, and comes back: nothing of them is lost or doubled, and no caller notices.

The whole measure of bench/README.md: ``OUTAGE_SECONDS=60 OUTAGE_CALLS=20``, with ``-s`` to see the figures.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx

from app.db.postgres import PostgresServer
from bench.server import PrivateServer
from bench.talk import utterances
from telephony.simulator.call import CallerFn
from telephony.simulator.caller import finished
from telephony.simulator.carrier import Carrier
from telephony.simulator.heard import HeardCall
from telephony.simulator.measure import Percentiles
from telephony.simulator.phone import Phone
from telephony.simulator.webhook import WebhookFailed
from tests.db_fixtures import temporary_data_dir
from tests.e2e.conftest import api_of, stored_calls

SECONDS = float(os.environ.get("OUTAGE_SECONDS", "8"))
CALLS = int(os.environ.get("OUTAGE_CALLS", "4"))
AROUND = max(5.0, SECONDS / 2)  # before the outage, and after it
WHOLE = SECONDS >= 60  # then there are enough turns for percentiles
SHORT = {  # replies of a second: more turns in the same time
    "TRUNKLINE_ENGINES__TIMED__SENTENCE_TOKENS": "[6]",
    "TRUNKLINE_LIMITS__DRAIN_SECONDS": "1",
}


@dataclass(slots=True)
class Turns:
    """What callers heard: when each turn was answered, by perf_counter, and after how long."""

    until: float
    answers: list[tuple[float, float]] = field(default_factory=list)
    answered: dict[str, int] = field(default_factory=dict)  # by CallSid
    unanswered: int = 0

    def between(self, begin: float, end: float) -> Percentiles:
        found = Percentiles.of([after for at, after in self.answers if begin <= at < end])
        assert found is not None
        return found


def answered(phone: Phone, since: float) -> Callable[[float], bool]:
    return lambda now: phone.playout.first_heard(since, now) is not None


def talker(index: int, turns: Turns, counts: list[int]) -> CallerFn:
    """Speaks and listens, again and again; hangs up once the last reply is over."""
    said = utterances()

    async def caller(phone: Phone) -> None:
        await phone.wait(0.3 + index * 0.137 % 1.5)
        while perf_counter() < turns.until:
            spoken = await phone.say(said[counts[index] % len(said)])
            await phone.until(answered(phone, spoken.end), 5)
            began = phone.agent_began(spoken.end)
            if began is None:
                turns.unanswered += 1
                return
            counts[index] += 1
            turns.answers.append((perf_counter(), began - spoken.end))
            await phone.until(finished(phone, spoken.end, 0.8), 10)

    return caller


@contextmanager
def own_server(environment: dict[str, str] | None = None) -> Iterator[tuple[PrivateServer, Path]]:
    """A server on a data directory that is known."""
    with temporary_data_dir() as folder:
        own = {"TRUNKLINE_DATA_DIR": str(folder)}
        with PrivateServer(environment=SHORT | own | (environment or {})) as server:
            yield server, folder


async def metric(server: PrivateServer, name: str, absent: float | None = None) -> float:
    """A sample of ``/metrics``, by its name with its labels; ``absent``: where it never occurred."""
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"{server.origin}/metrics")).text
    values = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(values[0]) if values or absent is None else absent


async def until_metric(server: PrivateServer, name: str, value: float, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while await metric(server, name) != value:
            await asyncio.sleep(0.2)


async def _outage(
    postgres: PostgresServer, server: PrivateServer, begin: float, turns: Turns
) -> tuple[float, float, float]:
    """Stop the database, start it ``SECONDS`` later; returns both times, and how many events waited."""
    await asyncio.sleep(begin - perf_counter())
    stopped = perf_counter()
    await asyncio.to_thread(postgres.stop)
    await asyncio.sleep(SECONDS)
    waited = await metric(server, 'trunkline_spool_waiting_events{owner="self"}')
    back = perf_counter()
    await asyncio.to_thread(postgres.ensure_running)
    turns.until = perf_counter() + AROUND
    return stopped, back, waited


def _same(call: dict[str, Any], answered: int) -> bool:
    """Whether a stored call has each answered turn once, in order, and its true end."""
    replied = [turn for turn in call["turns"] if turn["caller_text"]]
    indexes = [turn["index"] for turn in call["turns"]]
    in_order = indexes == list(range(len(indexes)))
    return in_order and len(replied) == answered and call["outcome"] == "caller"


async def test_a_stopped_database_costs_no_turn_and_no_time() -> None:
    with own_server() as (server, folder):
        postgres = PostgresServer(folder / "postgres")
        begin = perf_counter() + 4.0 + AROUND
        turns = Turns(until=float("inf"))
        counts = [0] * CALLS
        async with (
            Carrier(server.webhook, server.account_sid, server.auth_token) as carrier,
            asyncio.TaskGroup() as tasks,
        ):
            outage = tasks.create_task(_outage(postgres, server, begin, turns))
            placed = await carrier.place_calls(
                CALLS, lambda index: talker(index, turns, counts), spread_seconds=2.0
            )
        heard = [call for call in placed if isinstance(call, HeardCall)]
        assert len(heard) == CALLS
        assert turns.unanswered == 0
        stopped, back, waited = outage.result()
        await until_metric(server, "trunkline_recorder_waiting_events", 0, 60)
        async with api_of(server) as api:
            calls = await stored_calls(api, {call.call_sid for call in heard}, 30)
        assert len(calls) == CALLS
        by_sid = {call.call_sid: counts[index] for index, call in enumerate(heard)}
        wrong = [sid for sid, call in calls.items() if not _same(call, by_sid[sid])]
        assert wrong == []
        assert waited >= CALLS
        lost = "trunkline_recorder_lost_events_total"
        for reason in ("overflow", "refused", "orphaned", "unreadable"):
            assert await metric(server, f'{lost}{{reason="{reason}"}}', 0.0) == 0, reason
        assert "Traceback" not in server.log()
    before, during = turns.between(0, stopped), turns.between(stopped, back)
    after = turns.between(back, float("inf"))
    lines = [
        f"{name}: p50 {found.p50 * 1000:.0f} ms, p95 {found.p95 * 1000:.0f} ms, {found.count} turns"
        for name, found in (("before", before), ("during", during), ("after", after))
    ]
    sys.stdout.write("\n".join([f"\n{CALLS} calls, {sum(counts)} turns, {waited:.0f} waited", *lines, ""]))
    if WHOLE:
        assert during.p95 <= before.p95 + 0.02
        assert after.p95 <= before.p95 + 0.02
    else:
        assert during.p50 <= before.p50 + 0.1  # of some ten turns, next to other tests


async def test_a_killed_server_leaves_its_turns_to_the_next_start() -> None:
    """kill -9 while the database is away: the next start stores the turns, and ends the calls."""
    with own_server() as (server, folder):
        postgres = PostgresServer(folder / "postgres")
        turns, counts = Turns(until=perf_counter() + 60), [0, 0]
        async with Carrier(server.webhook, server.account_sid, server.auth_token) as carrier:

            async def kill() -> None:
                async with asyncio.timeout(30):
                    while min(counts) < 1:
                        await asyncio.sleep(0.05)
                    await asyncio.to_thread(postgres.stop)
                    while min(counts) < 3:
                        await asyncio.sleep(0.05)
                await asyncio.sleep(0.5)
                os.kill(server.pid, signal.SIGKILL)

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(kill())
                placed = await carrier.place_calls(2, lambda index: talker(index, turns, counts))
        assert all(isinstance(call, HeardCall | WebhookFailed) for call in placed)
        server.restart()
        async with api_of(server) as api, asyncio.timeout(20):
            calls = (await api.get("/calls")).json()["calls"]
            details = [(await api.get(f"/calls/{call['id']}")).json() for call in calls]
    assert [(call["outcome"], call["cause"]) for call in details] == [("us", "server_error")] * 2
    finished_turns = sorted(len([turn for turn in call["turns"] if turn["caller_text"]]) for call in details)
    # the reply that was being heard is lost with its process; the turns before it are not
    assert [count - 1 for count in sorted(counts)] == finished_turns
