"""How long calls wait while a database full of calls gets its partitions: ``python -m bench.migration``.

The database is the one that the settings name; fill it with ``trunkline db fill``. It is first taken back to
the layout before (which copies all rows, and takes its time), then migrated while one client reads the newest
page and another stores calls, ten times a second each. What either waited at most is what a lock cost them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from uuid import uuid4

import uvloop
from sqlalchemy import text

from app.db.migrate import downgrade, upgrade
from app.db.session import Database
from app.db.start import open_database, schema_version
from config.settings import Settings

BEFORE = "0003"
EVERY_SECONDS = 0.1
MOST_SECONDS = 5.0

_PAGE = text("SELECT id, agent, outcome, started_at FROM calls ORDER BY started_at DESC, id DESC LIMIT 50")
_CALL = text(
    "INSERT INTO calls (id, instance_id, carrier, carrier_call_id, direction, from_number, to_number, agent, "
    "agent_version, started_at) SELECT :call, id, 'bench', '', 'inbound', '', '', 'bench', 1, now() "
    "FROM instances LIMIT 1"
)
_TURN = text(
    "INSERT INTO turns (call_id, index, at, caller_text, reply_text, heard_text, interrupted) "
    "VALUES (:call, :index, now(), 'hello', 'hello', 'hello', false)"
)


@dataclass(slots=True)
class Client:
    """Something that is done again and again, and how long it took at most, in seconds."""

    name: str
    work: Callable[[Database], Awaitable[None]]
    times: list[float] = field(default_factory=list)

    async def run(self, database: Database) -> None:
        """Until cancelled."""
        while True:
            began = perf_counter()
            await self.work(database)
            self.times.append(perf_counter() - began)
            await asyncio.sleep(EVERY_SECONDS)


async def _read(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(_PAGE)


async def _write(database: Database) -> None:
    call = uuid4()
    async with database.transaction() as session:
        await session.execute(_CALL, {"call": call})
        await session.execute(_TURN, [{"call": call, "index": index} for index in range(10)])


async def _run() -> bool:
    settings = Settings()
    url = settings.database_url.get_secret_value()
    async with open_database(url, settings.data_dir, migrate=False) as database:
        if await schema_version(database) != BEFORE:
            began = perf_counter()
            await downgrade(database, BEFORE)
            print(f"taken back to {BEFORE} in {perf_counter() - began:.0f} s", flush=True)
        clients = [Client("newest page", _read), Client("a call and ten turns stored", _write)]
        tasks = [asyncio.create_task(client.run(database)) for client in clients]
        await asyncio.sleep(2)
        began = perf_counter()
        await upgrade(database)
        took = perf_counter() - began
        await asyncio.sleep(2)
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    print(f"migrated in {took:.0f} s")
    for client in clients:
        print(f"{client.name}: {len(client.times)} times, waited at most {max(client.times) * 1000:.0f} ms")
    return max(max(client.times) for client in clients) <= MOST_SECONDS


if __name__ == "__main__":
    raise SystemExit(0 if uvloop.run(_run()) else 1)
