"""A database as after a year of calls: to measure lists, searches and figures on. ``trunkline db fill``.

Calls are spread over the days as callers are: more by day than by night, fewer at weekends. Words follow
Zipf's law, so that some are in every call and most in few. Nothing in it is of a real person; the numbers
(+1 555) are nobody's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from pocketsphinx import get_model_path

from app.calls.texts import DOCUMENTS
from app.db.session import Database, normalise_url
from app.reports.latency import count_closed_hours

TABLES = {
    "calls": "started_at",
    "legs": "started_at",
    "turns": "at",
    "call_texts": "started_at",
    "call_events": "at",
    "call_steps": "started_at",
}
VOCABULARY = 30_000
SENTENCES = 30_000
LATENCIES = 50_000
AGENTS = ("parcel", "reception", "billing", "returns", "night")
OUTCOMES = ("caller",) * 55 + ("success",) * 38 + ("carrier",) * 4 + ("us",) * 2 + ("unknown",)
CAUSES = {"caller": "caller", "success": "agent", "carrier": "carrier_error", "us": "server_error"}
DISPOSITIONS = ("answered",) * 6 + ("transferred",) * 2 + ("call_back", "wrong_number")
HOURS = (1, 1, 1, 1, 1, 2, 4, 9, 16, 20, 21, 20, 17, 18, 20, 20, 19, 15, 11, 8, 6, 4, 2, 1)
WEEKDAYS = (12, 11, 10, 10, 10, 4, 3)
BATCH_CALLS = 5_000
LONGEST = timedelta(hours=1)

_CALL_COLUMNS = [
    "id",
    "instance_id",
    "carrier",
    "carrier_call_id",
    "direction",
    "from_number",
    "to_number",
    "agent",
    "agent_version",
    "started_at",
    "ended_at",
    "duration_seconds",
    "cause",
    "outcome",
    "language",
    "disposition",
    "turn_count",
    "barge_ins",
    "interruptions",
    "caller_seconds",
    "agent_seconds",
]
_LEG_COLUMNS = [
    "call_id",
    "index",
    "started_at",
    "carrier",
    "carrier_call_id",
    "direction",
    "from_number",
    "to_number",
    "answered_at",
    "ended_at",
    "cause",
]
_TURN_COLUMNS = [
    "call_id",
    "index",
    "at",
    "interrupted",
    "caller_started",
    "caller_ended",
    "caller_text",
    "caller_words",
    "caller_confidence",
    "caller_language",
    "reply_text",
    "heard_text",
    "stt_ms",
    "endpoint_ms",
    "llm_ms",
    "phrase_ms",
    "tts_ms",
    "send_ms",
    "response_ms",
]


class NotEmpty(Exception):
    """The database holds calls already. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much: ``calls``, each of ``turns`` turns, over the ``months`` before ``until``."""

    calls: int
    turns: int
    months: int
    until: datetime
    seed: int = 1


async def fill(database: Database, wanted: Wanted) -> AsyncIterator[str]:
    """Fill an empty database; says after each part what was done. Raises ``NotEmpty``."""
    async with _connection(database) as loading, _connection(database) as finishing:
        bounds = await _make_room(loading, wanted)
        yield f"making {SENTENCES:,} sentences"
        await _make_agents(loading)
        maker = _Maker(wanted, await _instance(loading))
        async with asyncio.TaskGroup() as tasks:
            before = None
            for begins, ends in pairwise(bounds):
                count = await _load(loading, maker, begins, ends)
                if before is not None:
                    await before
                before = tasks.create_task(_finish(finishing, begins, ends))  # while the next is made
                yield f"{begins:%Y-%m}: {count:,} calls"
        for table in TABLES:
            await loading.execute(f"VACUUM (ANALYZE) {table}")
    yield "counting latencies by the hour"
    hours = await count_closed_hours(database)
    yield f"{hours:,} hours counted"


@asynccontextmanager
async def _connection(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    url = normalise_url(database.engine.url)
    connection = await asyncpg.connect(
        user=url.username,
        password=url.password,
        database=url.database,
        host=url.query.get("host") or url.host,
        port=url.port or 5432,
        server_settings={"timezone": "UTC", "synchronous_commit": "off", "maintenance_work_mem": "512MB"},
    )
    try:
        yield connection
    finally:
        await connection.close()


async def _make_room(connection: asyncpg.Connection[Any], wanted: Wanted) -> list[datetime]:
    """Partitions for each month of the past, without their indexes; returns where they begin and end."""
    if await connection.fetchval("SELECT EXISTS (SELECT FROM calls)"):
        raise NotEmpty(
            "the database holds calls; db fill works on an empty one: name another "
            "with TRUNKLINE_DATABASE_URL or TRUNKLINE_DATA_DIR"
        )
    rows = await connection.fetch(
        r"""SELECT inhrelid::regclass::text AS part, inhparent::regclass::text AS parent,
                   substring(pg_get_expr(relpartbound, oid) FROM 'TO \(''(.*)''\)')::timestamptz AS ends
            FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE relkind = 'r'"""
    )
    bounds: list[datetime] = []
    for row in rows:
        if "before" in row["part"]:
            await connection.execute(f"ALTER TABLE {row['parent']} DETACH PARTITION {row['part']}")
            await connection.execute(f"DROP TABLE {row['part']}")
            bounds = _months(wanted, row["ends"])
    return bounds


def _months(wanted: Wanted, ends: datetime) -> list[datetime]:
    first = wanted.until.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(wanted.months):
        first = (first - timedelta(days=1)).replace(day=1)
    months = [first]
    while months[-1] < ends:
        months.append((months[-1] + timedelta(days=32)).replace(day=1))
    return months


async def _make_agents(connection: asyncpg.Connection[Any]) -> None:
    """Those that answered: their languages decide on how is searched."""
    for name in AGENTS:
        await connection.execute(
            "INSERT INTO agents (name, active_version) VALUES ($1, 1) ON CONFLICT DO NOTHING", name
        )
        await connection.execute(
            "INSERT INTO agent_versions (agent, version, profile, content_hash) "
            "VALUES ($1, 1, jsonb_build_object('name', cast($1 AS text), 'language', 'en-US'), '') "
            "ON CONFLICT DO NOTHING",
            name,
        )


async def _instance(connection: asyncpg.Connection[Any]) -> UUID:
    identity: UUID = await connection.fetchval(
        "INSERT INTO instances (id, host, pid, stopped_at) VALUES (gen_random_uuid(), 'fill', 0, now()) "
        "RETURNING id"
    )
    return identity


async def _load(connection: asyncpg.Connection[Any], maker: _Maker, begins: datetime, ends: datetime) -> int:
    """Copy a month's calls into tables without indexes; returns how many."""
    for table in TABLES:
        await connection.execute(f"CREATE TABLE {table}_{begins:%Y_%m} (LIKE {table} INCLUDING DEFAULTS)")
    starts = maker.starts(begins, ends)
    for first in range(0, len(starts), BATCH_CALLS):
        batch = maker.calls(starts[first : first + BATCH_CALLS])
        for table, columns, rows in (
            ("calls", _CALL_COLUMNS, batch.calls),
            ("legs", _LEG_COLUMNS, batch.legs),
            ("turns", _TURN_COLUMNS, batch.turns),
        ):
            await connection.copy_to_table(
                f"{table}_{begins:%Y_%m}", source=_source(rows), columns=columns, format="text"
            )
    return len(starts)


async def _finish(connection: asyncpg.Connection[Any], begins: datetime, ends: datetime) -> None:
    """Make a month's documents, and partitions with all indexes of its tables."""
    suffix = f"{begins:%Y_%m}"
    await connection.execute(f'ALTER TABLE turns_{suffix} ADD PRIMARY KEY (call_id, "index", at)')
    await connection.execute(f"ANALYZE turns_{suffix}")
    await connection.execute(
        f"INSERT INTO call_texts_{suffix} (call_id, started_at, config, document) "
        + DOCUMENTS.format(calls=f"calls_{suffix}", turns=f"turns_{suffix}")
    )
    for table in TABLES:
        await connection.execute(
            f"ALTER TABLE {table} ATTACH PARTITION {table}_{suffix} "
            f"FOR VALUES FROM ('{begins.isoformat()}') TO ('{ends.isoformat()}')"
        )


async def _source(rows: Sequence[str]) -> AsyncIterator[bytes]:
    yield "".join(rows).encode()


@dataclass(frozen=True, slots=True)
class _Batch:
    calls: list[str]
    legs: list[str]
    turns: list[str]


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence, its length in seconds, and its words as the column ``caller_words`` holds them."""

    text: str
    seconds: float
    words: str


class _Maker:
    """Lines of COPY's text format: a fraction of the time that rows of Python objects would take."""

    def __init__(self, wanted: Wanted, instance: UUID) -> None:
        self._random = Random(wanted.seed)
        self._wanted = wanted
        self._instance = instance
        self._said = [self._sentence(*lengths) for lengths in [(1, 12)] * SENTENCES]
        self._replies = [self._sentence(*lengths) for lengths in [(5, 25)] * SENTENCES]
        self._latencies = [self._latency() for _ in range(LATENCIES)]
        self._callers = [f"+1555{number:07d}" for number in self._random.sample(range(10_000_000), 200_000)]

    def starts(self, begins: datetime, ends: datetime) -> list[datetime]:
        """When the calls of a month begin, in order; those after ``until`` are not made."""
        last = min(ends, self._wanted.until) - LONGEST  # a call's turns are of its month
        hours = int((last - begins) / timedelta(hours=1))
        if hours <= 0:
            return []
        slots = [begins + timedelta(hours=hour) for hour in range(hours)]
        weights = [HOURS[slot.hour] * WEEKDAYS[slot.weekday()] for slot in slots]
        whole = (self._wanted.until - begins.replace(day=1)).days if ends > self._wanted.until else 30.4
        count = round(self._wanted.calls / self._wanted.months * min(1.0, whole / 30.4))
        chosen = self._random.choices(slots, cum_weights=list(accumulate(weights)), k=count)
        return sorted(min(slot + timedelta(seconds=self._random.random() * 3600), last) for slot in chosen)

    def calls(self, starts: Sequence[datetime]) -> _Batch:
        """The calls that begin then, with their legs and turns."""
        batch = _Batch([], [], [])
        for start in starts:
            self._call(start, batch)
        return batch

    def _call(self, start: datetime, batch: _Batch) -> None:
        random = self._random
        call_id = UUID(int=random.getrandbits(128), version=4)
        seconds, caller_seconds, agent_seconds = 1.0, 0.0, 0.0
        for index in range(self._wanted.turns):
            said, reply = random.choice(self._said), random.choice(self._replies)
            begun, spoken = seconds, said.seconds
            seconds += spoken + reply.seconds + 0.6
            caller_seconds += spoken
            agent_seconds += reply.seconds
            interrupted = "t" if random.random() < 0.06 else "f"
            heard = reply.text if interrupted == "f" else reply.text[: len(reply.text) // 2]
            batch.turns.append(
                f"{call_id}\t{index}\t{start + timedelta(seconds=seconds)}\t{interrupted}\t{begun:.2f}"
                f"\t{begun + spoken:.2f}\t{said.text}\t{said.words}\t0.9\ten\t{reply.text}\t{heard}"
                f"\t{random.choice(self._latencies)}\n"
            )
        end, outcome = start + timedelta(seconds=seconds), random.choice(OUTCOMES)
        who = (
            f"twilio\tCA{call_id.hex}\tinbound\t{random.choice(self._callers)}"
            f"\t+155501000{random.randrange(10, 90)}"
        )
        agent = AGENTS[min(int(random.expovariate(1.0)), len(AGENTS) - 1)]
        cause = CAUSES.get(outcome, "unknown")
        batch.calls.append(
            f"{call_id}\t{self._instance}\t{who}\t{agent}\t1\t{start}\t{end}\t{seconds:.3f}\t{cause}"
            f"\t{outcome}\ten-US\t{random.choice(DISPOSITIONS)}\t{self._wanted.turns}\t{random.randrange(3)}\t0"
            f"\t{caller_seconds:.2f}\t{agent_seconds:.2f}\n"
        )
        batch.legs.append(f"{call_id}\t0\t{start}\t{who}\t{start}\t{end}\t{cause}\n")

    def _sentence(self, shortest: int, longest: int) -> _Sentence:
        words = self._random.choices(
            WORDS, cum_weights=_CUMULATIVE, k=self._random.randint(shortest, longest)
        )
        ends = list(accumulate(0.1 + 0.06 * len(word) for word in words))
        placed = [
            {"text": word, "started": round(end - 0.3, 2), "ended": round(end, 2), "confidence": 0.9}
            for word, end in zip(words, ends, strict=True)
        ]
        return _Sentence(" ".join(words), ends[-1], orjson.dumps(placed).decode().replace("\\", "\\\\"))

    def _latency(self) -> str:
        draw = self._random.lognormvariate
        stt, endpoint, llm, phrase = draw(4.6, 0.4), draw(5.7, 0.3), draw(5.2, 0.5), draw(3.5, 0.6)
        tts, send = draw(4.6, 0.3), draw(1.0, 0.5)
        response = endpoint + llm + phrase + tts + send
        return "\t".join(f"{value:.2f}" for value in (stt, endpoint, llm, phrase, tts, send, response))


def _vocabulary() -> Iterator[str]:
    with open(get_model_path("en-us/cmudict-en-us.dict"), encoding="utf-8") as lines:  # noqa: PTH123
        for line in lines:
            word = line.split(" ", 1)[0]
            if word.isalpha() and len(word) > 1:
                yield word


_ALL = sorted(_vocabulary())
WORDS = Random(0).sample(_ALL, VOCABULARY)
_CUMULATIVE = list(accumulate(1 / (rank + 2) for rank in range(VOCABULARY)))
