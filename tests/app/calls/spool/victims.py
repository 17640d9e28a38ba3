"""Processes that record calls until they are killed: ``python -m tests.app.calls.spool.victims ROOT``.

Each line of standard input, ``SEED URL``, forks one. It says its pid, its instance and, again and again, how
many events of ``story(SEED)`` its spool has written: lines of ``SEED WORD VALUE``.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from uuid import UUID

import structlog

from app.calls import recorder
from app.calls.presence import Presence
from app.calls.recorder import Recorder
from app.calls.spool import writer as spool_writer
from app.calls.spool.spool import Spool
from app.db.session import Database
from app.voice.events import CallRecord
from tests.app.calls.events import ended, noted, started, turn

AWAY = "postgresql://nobody@127.0.0.1:1/none"


def story(seed: int) -> Iterator[CallRecord]:
    """Events of several calls at once, without an end, the same for the same seed."""
    rng = random.Random(seed)
    clock = (datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + _MS * n for n in count())
    turns: dict[UUID, int] = {}
    while True:
        at = next(clock)
        call_id = rng.choice([*turns, UUID(int=rng.getrandbits(128))] if len(turns) < 5 else [*turns])
        if call_id not in turns:
            turns[call_id] = 0
            yield started(call_id, at=at)
        elif rng.random() < 0.15:
            del turns[call_id]
            yield ended(call_id, at=at)
        elif rng.random() < 0.4:
            yield noted(call_id, at=at)
        else:
            yield replace(turn(call_id, turns[call_id], at=at), caller_text="words " * rng.randrange(80))
            turns[call_id] += 1


_MS = timedelta(milliseconds=1)


async def _record(seed: int, url: str, root: Path) -> None:
    recorder.MEMORY_EVENTS = 40
    spool_writer.SEGMENT_BYTES = 20_000
    spool_writer.SEGMENT_SECONDS = spool_writer.SYNC_SECONDS = spool_writer.TICK_SECONDS = 0.03
    database = Database(url)
    presence = Presence(database)
    if url != AWAY:
        await presence.start()
    spool = Spool(root, presence.id)
    _say(seed, "instance", presence.id)
    recording = Recorder(database, presence.id, spool)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(recording.run())
        for number, event in enumerate(story(seed), 1):
            recording.record(event)
            if number % 3 == 0:
                await asyncio.sleep(0.001)
            _say(seed, "written", spool.written)


def _say(seed: int, word: str, value: object) -> None:
    os.write(1, f"{seed} {word} {value}\n".encode())


def main() -> None:
    root = Path(sys.argv[1])
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        seed, url = line.split()
        pid = os.fork()
        if pid == 0:
            asyncio.run(_record(int(seed), url, root))
        _say(int(seed), "pid", pid)


if __name__ == "__main__":
    main()
