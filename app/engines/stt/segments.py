"""The segments of one leg that have no final yet, for recognisers that hear each in a task of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from app.engines.errors import EngineError
from app.engines.ports import EMPTY, LOST, Transcript

log = structlog.get_logger(__name__)


class Segment:
    """One segment; its interims are reported while no older one waits for its final."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self.final: Transcript | None = None
        self.task: asyncio.Task[Transcript] | None = None

    def interim(self, text: str) -> None:
        """What was heard of it so far. Not to be called from inside a call to the stream."""
        self._segments.interim(self, text)


class Segments:
    """Reports one final for each segment to ``sink``, in the order in which they began.

    For the event loop's thread.
    """

    def __init__(self, engine: str, sink: Callable[[Transcript], None]) -> None:
        self._engine = engine
        self._sink: Callable[[Transcript], None] | None = sink
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Segment] = deque()

    @property
    def closed(self) -> bool:
        """Whether nothing more is reported."""
        return self._sink is None

    def begin(self, hear: Callable[[Segment], Awaitable[Transcript]]) -> Segment:
        """Start the work on the next segment, which returns its final.

        Work that raises ``EngineError`` loses the segment; the reason is logged.
        """
        segment = Segment(self)
        self._waiting.append(segment)

        async def work() -> Transcript:
            return await hear(segment)

        # In no group: pushes begin it, outside any task of the call, and ``close`` waits for its end.
        segment.task = self._loop.create_task(work(), name=f"{self._engine} segment")
        segment.task.add_done_callback(lambda task: self._done(segment, task))
        return segment

    def empty(self) -> None:
        """A segment in which nothing is to be heard."""
        segment = Segment(self)
        segment.final = EMPTY
        self._waiting.append(segment)
        self._loop.call_soon(self._report)

    def interim(self, segment: Segment, text: str) -> None:
        """Report what ``segment`` holds so far."""
        if self._sink is not None and text and self._waiting and self._waiting[0] is segment:
            self._sink(Transcript(text, final=False))

    async def close(self) -> None:
        """Stop all work and wait for its end; nothing more is reported."""
        self._sink = None
        tasks = [segment.task for segment in self._waiting if segment.task is not None]
        self._waiting.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _done(self, segment: Segment, task: asyncio.Task[Transcript]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            segment.final = task.result()
        else:
            segment.final = LOST
            if isinstance(error, EngineError):
                log.warning("segment_lost", engine=self._engine, reason=str(error))
            else:
                context = {"message": f"{self._engine}: segment failed", "exception": error, "task": task}
                self._loop.call_exception_handler(context)
        self._report()

    def _report(self) -> None:
        while self._sink is not None and self._waiting and (final := self._waiting[0].final) is not None:
            self._waiting.popleft()
            self._sink(final)
