"""A second request to a language model whose first token is unusually late; the faster answer counts.

Source: J. Dean, L. A. Barroso, The Tail at Scale, Communications of the ACM 56(2), 2013, "hedged requests".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from app.engines.errors import EngineError
from app.engines.fallback.choice import Begun
from app.engines.ports import Delta
from app.metrics import HEDGES

_APART = 10  # requests for one more: a server that is slow because it is full must not get twice the load


class Hedges:
    """How many second requests may be made: one for every ten first ones."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self._saved = _APART

    def count(self) -> None:
        """A first request is made."""
        self._saved = min(self._saved + 1, _APART)

    def spend(self) -> bool:
        """Whether a second one may be made, which it is now."""
        if self._saved < _APART:
            return False
        self._saved = 0
        return True


async def first_of(
    engine: str, ask: Callable[[], AsyncGenerator[Delta, None]], late: float, hedges: Hedges
) -> Begun[Delta]:
    """The faster of a request and of a second one ``late`` seconds after it, with its first delta.

    Raises ``EngineError`` when both fail, or the first fails in time.
    """
    streams = [ask()]
    won: int | None = None
    try:
        async with asyncio.TaskGroup() as asking:
            tasks = [asking.create_task(_begun(streams[0]))]
            await asyncio.wait(tasks, timeout=late)
            if not tasks[0].done() and hedges.spend():
                streams.append(ask())
                tasks.append(asking.create_task(_begun(streams[1])))
            first = await _first_good(tasks)
            for task in tasks:
                task.cancel()
        outcome = tasks[first].result()
        if isinstance(outcome, EngineError):
            raise outcome
        if len(tasks) > 1:
            HEDGES.labels(engine, "won" if first == 1 else "lost").inc()
        won = first
        return streams[won], outcome
    finally:
        for number, stream in enumerate(streams):
            if number != won:
                await stream.aclose()


async def _first_good(tasks: list[asyncio.Task[Delta | EngineError | None]]) -> int:
    """The number of the first task that ends without an error; of the last one, when all fail."""
    waiting = set(tasks)
    ended = 0
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for number, task in enumerate(tasks):
            if task in done:
                ended = number
                if not isinstance(task.result(), EngineError):
                    return number
    return ended


async def _begun(stream: AsyncGenerator[Delta, None]) -> Delta | EngineError | None:
    try:
        return await anext(stream, None)
    except EngineError as error:
        return error
