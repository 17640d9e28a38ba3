"""CPU time and the time to the first result, of a library called bare and of the adapter over it.

The ways are used in turn, bare, bare with the adapter's resampling, ours, so that whatever else the machine
does meets all of them alike; what is compared is the median of the differences within a round.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

from app.engines.ports import Engine
from tests.peers.apart import Addresses

MOST_ADDED_SECONDS = 0.015
MOST_ADDED_CPU = 0.10  # of the library's own
_SETTLE_SECONDS = 0.003  # a connection closes one turn of the loop later, and one is opened ahead
_TRIES = 3  # of a measurement on a machine that others use too

_WARM = 1
E = TypeVar("E", bound=Engine)

Clock = Callable[[], float]


@dataclass(frozen=True)
class Way:
    """``use`` asks for one thing and waits for all of it; gives the seconds to the first result.

    ``cpu``: the CPU seconds so far of whatever works for it.
    """

    use: Callable[[], Awaitable[float]]
    cpu: Clock = time.process_time


@dataclass(frozen=True)
class Ways:
    """``resampled``: bare, with the adapter's conversion to or from the telephone's 8 kHz added to it."""

    bare: Way
    ours: Way
    resampled: Way | None = None

    @property
    def all(self) -> tuple[Way, ...]:
        return (self.bare, *([self.resampled] if self.resampled is not None else ()), self.ours)


@dataclass(frozen=True)
class Row:
    """One comparison. The bars: ``MOST_ADDED_CPU`` or ``most_cpu`` seconds a use more of CPU, and
    ``most_seconds`` more to the first result, which a few rounds of long uses cannot tell so well.

    ``items``: how many a use has, and what one is called, where it is the cost of each that counts.
    """

    name: str
    ways: Ways
    note: str = ""
    rounds: int = 30
    most_cpu: float = 0.0
    most_seconds: float = MOST_ADDED_SECONDS
    items: tuple[int, str] | None = None


Case = Callable[[Addresses, Path], AbstractAsyncContextManager[list[Row]]]
"""Gives comparisons with a started engine, where the peers are and with a folder for models."""


@asynccontextmanager
async def started(engine: E) -> AsyncIterator[E]:
    """The engine, closed in the end."""
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


@dataclass(frozen=True)
class Cost:
    """Seconds a use, one entry a round."""

    cpu: tuple[float, ...]
    first: tuple[float, ...]

    @property
    def cpu_ms(self) -> float:
        return 1000 * median(self.cpu)

    @property
    def first_ms(self) -> float:
        return 1000 * median(self.first)


@dataclass(frozen=True)
class Overhead:
    """What the ways cost."""

    bare: Cost
    ours: Cost
    resampled: Cost | None

    @property
    def like(self) -> Cost:
        """The bare way that does what the adapter does."""
        return self.resampled or self.bare

    @property
    def added_seconds(self) -> float:
        """To the first result, of all that the adapter does."""
        return median(ours - bare for ours, bare in zip(self.ours.first, self.bare.first, strict=True))

    @property
    def added_cpu(self) -> float:
        """CPU seconds a use."""
        return median(ours - like for ours, like in zip(self.ours.cpu, self.like.cpu, strict=True))

    @property
    def share(self) -> float:
        """CPU added, of that of the bare way that does the same."""
        return self.added_cpu / median(self.like.cpu)

    @property
    def share_of_bare(self) -> float:
        """CPU added, of that of the library alone."""
        return median(ours - bare for ours, bare in zip(self.ours.cpu, self.bare.cpu, strict=True)) / median(
            self.bare.cpu
        )


async def measure(ways: Ways, rounds: int) -> Overhead:
    """Use each of the ways so many times, in turn; once more before that, which does not count."""
    used: list[list[tuple[float, float]]] = [[] for _ in ways.all]
    with _no_collection():
        for number in range(_WARM + rounds):
            for way, uses in zip(ways.all, used, strict=True):
                before = way.cpu()
                first = await way.use()
                await asyncio.sleep(_SETTLE_SECONDS)
                if number >= _WARM:
                    uses.append((way.cpu() - before, first))
    costs = [Cost(*zip(*uses, strict=True)) for uses in used]
    return Overhead(costs[0], costs[-1], costs[1] if ways.resampled is not None else None)


async def compare(row: Row) -> tuple[Overhead, bool]:
    """The cheapest of a few measurements, or the first one within the bars; and whether there was one.

    Each finds what a machine that others use too hides: three in a row outside are the adapter's fault.
    """
    found: list[Overhead] = []
    for _ in range(_TRIES):
        overhead = await measure(row.ways, row.rounds)
        found.append(overhead)
        cheap = overhead.share <= MOST_ADDED_CPU or overhead.added_cpu <= row.most_cpu
        if cheap and overhead.added_seconds <= row.most_seconds:
            return overhead, True
    return min(found, key=lambda overhead: overhead.share), False


def process_clock(pid: int) -> Clock:
    """The CPU seconds of another process, its threads that have ended included; clock_getcpuclockid(3)."""
    clock = (~pid << 3) | 2
    return lambda: time.clock_gettime(clock)


def table(measured: Sequence[tuple[Row, Overhead]]) -> str:
    """One line a comparison; ``-`` where there is nothing to resample. The share counts what both do."""
    head = ("engine", "bare", "+ resampling", "ours", "over bare", "over both", "bare", "ours", "added", "")
    units = ("", "CPU ms", "CPU ms", "CPU ms", "%", "%", "first ms", "first ms", "ms", "note")
    lines = [head, units]
    for row, cost in measured:
        resampled = f"{cost.resampled.cpu_ms:.2f}" if cost.resampled is not None else "-"
        both = f"{100 * cost.share:+.1f}" if cost.resampled is not None else "-"
        each = f"{1e6 * cost.added_cpu / row.items[0]:.1f} us a {row.items[1]}" if row.items else ""
        lines.append((
            row.name, f"{cost.bare.cpu_ms:.2f}", resampled, f"{cost.ours.cpu_ms:.2f}",
            f"{100 * cost.share_of_bare:+.1f}", both, f"{cost.bare.first_ms:.2f}",
            f"{cost.ours.first_ms:.2f}", f"{1000 * cost.added_seconds:+.2f}", each or row.note,
        ))  # fmt: skip
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in {0, len(head) - 1} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


@contextmanager
def _no_collection() -> Iterator[None]:
    """The test runner's heap is large: a collection costs whoever triggers it tens of milliseconds."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
