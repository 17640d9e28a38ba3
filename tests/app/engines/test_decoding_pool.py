"""Threads that streams share: who has the next turn. The thread decodes when the test lets it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest

from app.engines.errors import EngineError
from app.engines.stt.decoding_pool import DecodingPool


@dataclass(eq=False)
class Stream:
    """Has a job whenever it is asked."""

    name: str
    answers: list[str | EngineError] = field(default_factory=list)

    def next_job(self) -> str:
        return self.name

    def take(self, job: str, answer: str | EngineError) -> None:
        self.answers.append(answer)


class Gate:
    """Decodes one batch each time it is opened."""

    def __init__(self) -> None:
        self.begun: list[list[str]] = []
        self._open = threading.Semaphore(0)

    def decode(self, jobs: Sequence[str]) -> Sequence[str]:
        self.begun.append(list(jobs))
        self._open.acquire(timeout=5.0)
        return jobs

    def open(self, times: int) -> None:
        self._open.release(times)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def pool(gate: Gate) -> AsyncIterator[DecodingPool[str, str]]:
    pool: DecodingPool[str, str] = DecodingPool("test", 1, gate.decode, 2)
    yield pool
    gate.open(10)
    await pool.close()


async def until(stream: Stream, answers: int) -> None:
    async with asyncio.timeout(5.0):
        while len(stream.answers) < answers:
            await asyncio.sleep(0.001)


async def test_finals_come_before_interims_and_the_oldest_first(
    gate: Gate, pool: DecodingPool[str, str]
) -> None:
    busy, *usual = (Stream(name) for name in ("busy", "u1", "u2", "u3"))
    urgent = [Stream("f1"), Stream("f2"), Stream("f3")]
    pool.ask(busy)
    await asyncio.sleep(0.01)  # it has the thread
    for stream in usual:
        pool.ask(stream)
    for stream in urgent:
        pool.ask(stream, urgent=True)
    gate.open(5)
    await until(usual[-1], 1)
    assert gate.begun == [["busy"], ["f1", "f2"], ["f3"], ["u1", "u2"], ["u3"]]


async def test_a_turn_asked_for_becomes_urgent_and_is_had_once(
    gate: Gate, pool: DecodingPool[str, str]
) -> None:
    busy, first, second, third = (Stream(name) for name in ("busy", "first", "second", "third"))
    pool.ask(busy)
    await asyncio.sleep(0.01)
    for stream in (first, second, third):
        pool.ask(stream)
    pool.ask(third, urgent=True)
    pool.ask(third)
    gate.open(3)
    await until(second, 1)
    assert gate.begun == [["busy"], ["third"], ["first", "second"]]
    assert third.answers == ["third"]


async def test_a_stream_has_one_job_at_a_time(gate: Gate) -> None:
    pool: DecodingPool[str, str] = DecodingPool("test", 2, gate.decode)
    one, other = Stream("one"), Stream("other")
    pool.ask(one)
    await asyncio.sleep(0.01)
    pool.ask(one, urgent=True)
    pool.ask(other)
    await asyncio.sleep(0.01)
    assert gate.begun == [["one"], ["other"]]
    gate.open(3)
    await until(one, 2)
    assert gate.begun == [["one"], ["other"], ["one"]]
    await pool.close()


async def test_who_is_forgotten_has_no_turn(gate: Gate, pool: DecodingPool[str, str]) -> None:
    busy, gone, stays = Stream("busy"), Stream("gone"), Stream("stays")
    pool.ask(busy)
    await asyncio.sleep(0.01)
    for urgent in (False, True):
        pool.ask(gone, urgent=urgent)
        pool.ask(stays, urgent=urgent)
    pool.forget(gone)
    gate.open(3)
    await until(stays, 1)
    assert gone.answers == []
    assert gate.begun == [["busy"], ["stays"]]
