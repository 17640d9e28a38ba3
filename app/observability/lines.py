"""Latency as lines of JSON, a file a day, for those who look at it with other tools.

A line is a turn that was answered: when it ended (UTC), its call, its number in it, agent, engines by port,
whether it was interrupted, and the milliseconds of its stages. It holds no text and no number of a caller.

    {"at":"2026-03-01T12:00:09.250Z","call_id":"...","turn":2,"agent":"parcel","interrupted":false,
     "engines":{"stt":"pocketsphinx","llm":"scripted","tts":"espeak"},"ms":{"stt":90.0,"response":575.0}}
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from datetime import date, timedelta
from pathlib import Path

import orjson
import structlog

from app.metrics import LATENCY_LINES_LOST
from app.observability.turns import Seen, TurnMeasured

MOST_WAITING = 10_000  # lines: 3 MB, minutes of a busy process
WRITE_SECONDS = 1.0  # between writes
LOG_SECONDS = 10.0
SUFFIX = ".jsonl"

_log = structlog.get_logger(__name__)


class LatencyLines:
    """An ``Observer`` whose thread writes. Processes that share a folder append to the same files."""

    name = "lines"

    def __init__(self, folder: Path, days: int) -> None:
        """``days``: for which files are kept, today's included."""
        self._folder = folder
        self._days = days
        self._waiting: deque[TurnMeasured] = deque()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="latency lines", daemon=True)
        self._cleared: date | None = None  # the day on which old files were last looked for
        self._logged = float("-inf")

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Write what waits, for at most ``seconds``. Blocks."""
        self._ending.set()
        self._thread.join(seconds)

    def see(self, seen: Seen) -> None:
        """See ``Observer.see``. Turns that were not answered have no line."""
        if not isinstance(seen, TurnMeasured) or not seen.stages:
            return
        if len(self._waiting) >= MOST_WAITING:
            LATENCY_LINES_LOST.labels("overflow").inc()
            return
        self._waiting.append(seen)

    # In the thread

    def _run(self) -> None:
        ending = False
        while not ending:
            ending = self._ending.wait(WRITE_SECONDS)
            turns = [self._waiting.popleft() for _ in range(len(self._waiting))]
            try:
                self._write(turns)
            except OSError as error:
                LATENCY_LINES_LOST.labels("disk").inc(len(turns))
                self._complain(error)

    def _write(self, turns: list[TurnMeasured]) -> None:
        """Append them to the files of their days. Raises ``OSError``."""
        days: dict[date, list[bytes]] = {}
        for turn in turns:
            days.setdefault(turn.ended.date(), []).append(orjson.dumps(line_of(turn)))
        for day, lines in days.items():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._append(day, b"\n".join(lines) + b"\n")
            if self._cleared is None or day > self._cleared:
                self._cleared = day
                self._clear(day)

    def _append(self, day: date, content: bytes) -> None:
        """In one piece, so that no other process's lines come in between."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._folder / f"{day.isoformat()}{SUFFIX}", flags, 0o600)
        try:
            while content:  # a disk that is nearly full takes a part
                content = content[os.write(descriptor, content) :]
        finally:
            os.close(descriptor)

    def _clear(self, today: date) -> None:
        """Delete the files of days that are too long ago; what cannot be deleted is tried again tomorrow."""
        oldest = today - timedelta(days=self._days - 1)
        for file in self._folder.glob(f"*{SUFFIX}"):
            try:
                day = date.fromisoformat(file.stem)
            except ValueError:
                continue  # not ours
            if day < oldest:
                try:
                    file.unlink(missing_ok=True)
                except OSError as error:
                    self._complain(error)

    def _complain(self, error: OSError) -> None:
        now = time.monotonic()
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            _log.error(
                "lines of latency are not written; check the space and the rights of the data directory's "
                "latency, or set TRUNKLINE_OBSERVABILITY__LATENCY_LINES=false",
                reason=error.strerror,
            )


def line_of(turn: TurnMeasured) -> dict[str, object]:
    """What a turn's line says."""
    at = turn.ended.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "at": at,
        "call_id": str(turn.call_id),
        "turn": turn.index,
        "agent": turn.agent,
        "interrupted": turn.interrupted,
        "engines": {stage.port: stage.engine for stage in turn.stages if stage.port},
        "ms": {stage.name: round(stage.seconds * 1000, 2) for stage in turn.stages},
    }
