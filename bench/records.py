"""How fast lists, searches and figures are over a year of calls: through the API, on a filled database.

``python -m bench.records``: the database is the one that the settings name; fill it with ``trunkline db
fill``. The API is called in this process, so what is measured is its work, PostgreSQL's and the way between
them.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

import uvloop
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text

from app.api import PATH, ApiParts, create_api
from app.auth.service import Role, create_key, revoke_key
from app.db.session import Database
from app.db.start import open_database
from app.rest.limiting import RateLimits
from bench.fill import AGENTS, WORDS
from config.settings import Settings

WARM_UP = 20  # rounds that are not counted: pages of the disk come into memory


@dataclass(frozen=True, slots=True)
class Question:
    """Something that is asked again and again; ``most_ms``: what 19 of 20 must take at most."""

    name: str
    most_ms: float
    ask: Callable[[], tuple[str, Mapping[str, Any]]]


class Questions:
    """Questions as operators have them, about the calls that there are."""

    def __init__(self, samples: list[Mapping[str, Any]], first: datetime, last: datetime) -> None:
        self._samples, self._first, self._last = samples, first, last
        self.cursors: list[str] = []

    def all(self) -> list[Question]:
        """All of them."""
        return [
            Question("newest page", 50, lambda: ("/calls", {})),
            Question("a later page", 50, lambda: ("/calls", {"cursor": random.choice(self.cursors)})),
            Question("page of an agent", 50, lambda: ("/calls", {"agent": random.choice(AGENTS)})),
            Question("page of an outcome", 50, lambda: ("/calls", {"outcome": random.choice(_OUTCOMES)})),
            Question("page of a result", 50, lambda: ("/calls", {"disposition": "call_back"})),
            Question("agent and outcome", 50, lambda: ("/calls", {"agent": "night", "outcome": "us"})),
            Question("page of a caller", 50, lambda: ("/calls", {"from_number": self._one()["from_number"]})),
            Question("page of a day", 50, lambda: ("/calls", self._day())),
            Question("page of a day and agent", 50, lambda: ("/calls", {**self._day(), "agent": "night"})),
            Question("a call in detail", 50, lambda: (f"/calls/{self._one()['id']}", {})),
            Question("a call's transcript", 50, lambda: (f"/calls/{self._one()['id']}/segments", {})),
            Question("search: a common word", 150, lambda: ("/calls", {"q": _word(0, 20)})),
            Question("search: a usual word", 150, lambda: ("/calls", {"q": _word(20, 1000)})),
            Question("search: a rare word", 150, lambda: ("/calls", {"q": _word(1000, 30_000)})),
            Question(
                "search: two words", 150, lambda: ("/calls", {"q": f"{_word(5, 500)} {_word(5, 5000)}"})
            ),
            Question("search: a phrase", 150, lambda: ("/calls", {"q": f'"{_word(0, 50)} {_word(0, 50)}"'})),
            Question("search: no such word", 150, lambda: ("/calls", {"q": "qqzzy"})),
            Question(
                "search in an agent's calls",
                150,
                lambda: ("/calls", {"q": _word(20, 1000), "agent": random.choice(AGENTS)}),
            ),
            Question("a day's percentiles", 300, lambda: ("/latency", self._day())),
            Question("an agent's day", 300, lambda: ("/latency", {**self._day(), "agent": "parcel"})),
            Question(
                "the last 24 hours", 300, lambda: ("/latency", {"since": self._last - timedelta(days=1)})
            ),
            Question("a day's figures", 300, lambda: ("/figures", self._day())),
        ]

    def _one(self) -> Mapping[str, Any]:
        return random.choice(self._samples)

    def _day(self) -> dict[str, Any]:
        days = (self._last - self._first).days
        since = (self._first + timedelta(days=random.randrange(days))).replace(hour=0, minute=0, second=0)
        return {"since": since, "until": since + timedelta(days=1)}


_OUTCOMES = ("caller", "success", "carrier", "us", "unknown")


def _word(first: int, last: int) -> str:
    """A word by its rank: 0 is the most frequent."""
    return WORDS[random.randrange(first, last)]


async def measure(
    client: AsyncClient, questions: Questions, rounds: int
) -> list[tuple[Question, list[float]]]:
    """Milliseconds of each question, ``rounds`` times in turn, so that none has its pages to itself."""
    asked = questions.all()
    times: dict[str, list[float]] = {question.name: [] for question in asked}
    for number in range(WARM_UP + rounds):
        for question in asked:
            path, query = question.ask()
            began = perf_counter()
            answer = await client.get(path, params=_text(query))
            if number >= WARM_UP:
                times[question.name].append((perf_counter() - began) * 1000)
            answer.raise_for_status()
            if question.name == "newest page" and number == 0:
                questions.cursors.append(answer.json()["next_cursor"])
    return [(question, times[question.name]) for question in asked]


def _text(query: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else str(value)
        for name, value in query.items()
    }


async def _run(rounds: int) -> bool:
    settings = Settings()
    url = settings.database_url.get_secret_value()
    async with open_database(url, settings.data_dir) as database:
        async with database.transaction() as session:
            key = await create_key(session, Role.VIEWER, "bench")
            first, last, calls = (
                await session.execute(text("SELECT min(started_at), max(started_at), count(*) FROM calls"))
            ).one()
            samples = await session.execute(
                text("SELECT id, from_number FROM calls TABLESAMPLE SYSTEM (0.1) LIMIT 2000")
            )
            questions = Questions([dict(row) for row in samples.mappings()], first, last)
        print(f"{calls:,} calls from {first:%Y-%m-%d} to {last:%Y-%m-%d}")
        async with _client(database, key.secret) as client:
            results = await measure(client, questions, rounds)
        async with database.transaction() as session:
            await revoke_key(session, key.id)
    print(f"| {'question':30} | median ms | p95 ms | most ms | bar | |")
    print("|---|--:|--:|--:|--:|---|")
    met = True
    for question, times in results:
        p95 = statistics.quantiles(times, n=20)[-1]
        met &= p95 <= question.most_ms
        print(
            f"| {question.name:30} | {statistics.median(times):.1f} | {p95:.1f} | {max(times):.1f} "
            f"| {question.most_ms:.0f} | {'met' if p95 <= question.most_ms else '**missed**'} |"
        )
    return met


def _client(database: Database, key: str) -> AsyncClient:
    web = FastAPI()
    web.mount(PATH, create_api(database, ApiParts(limits=RateLimits(10**9, 10**9))))
    return AsyncClient(
        transport=ASGITransport(web),
        base_url=f"http://bench{PATH}",
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    raise SystemExit(0 if uvloop.run(_run(arguments.rounds)) else 1)


if __name__ == "__main__":
    main()
