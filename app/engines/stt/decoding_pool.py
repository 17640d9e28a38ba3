"""A bounded number of decoding threads that many streams share, each stream in its turn.

A stream asks for a turn and makes its job only when its turn has come, from all that it has heard by then:
nothing queues up behind a machine that cannot keep up, it only decodes less often. Urgent turns, those of
final transcripts, come before the others; among each, the oldest first. A stream has one job at a time, so
its answers come in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, Protocol, TypeVar

import structlog

from app.engines.errors import EngineError

JobT = TypeVar("JobT")
AnswerT = TypeVar("AnswerT")
AnswerT_contra = TypeVar("AnswerT_contra", contravariant=True)

log = structlog.get_logger(__name__)


class Decodable(Protocol[JobT, AnswerT_contra]):
    """A stream with audio to decode. Both are called on the event loop, from no call to the stream."""

    def next_job(self) -> JobT | None:
        """What to decode next, if anything is left to be."""

    def take(self, job: JobT, answer: AnswerT_contra | EngineError) -> None:
        """What came of it. For another turn, ask again."""


class DecodingPool(Generic[JobT, AnswerT]):
    """``decode`` is called in a thread with up to ``batch`` jobs of one urgency, and answers each.

    Where it fails, all of them fail; where a job may be ``repeatable``, each is tried alone first.
    All methods are for the event loop's thread.
    """

    def __init__(
        self,
        engine: str,
        workers: int,
        decode: Callable[[Sequence[JobT]], Sequence[AnswerT]],
        batch: int = 1,
        *,
        repeatable: bool = True,
    ) -> None:
        self._engine, self._decode, self._batch, self._repeatable = engine, decode, batch, repeatable
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(max_workers=workers, thread_name_prefix=engine)
        self._free = workers
        self._urgent: dict[Decodable[JobT, AnswerT], None] = {}  # in the order in which they asked
        self._usual: dict[Decodable[JobT, AnswerT], None] = {}
        self._decoding: set[Decodable[JobT, AnswerT]] = set()
        self._dispatching = False
        self._closed = False

    def ask(self, stream: Decodable[JobT, AnswerT], *, urgent: bool = False) -> None:
        """Give the stream a turn. Asking again before it changes nothing, unless it has become urgent."""
        if urgent:
            self._usual.pop(stream, None)
            self._urgent.setdefault(stream)
        elif stream not in self._urgent:
            self._usual.setdefault(stream)
        if not self._dispatching and not self._closed:
            self._dispatching = True
            self._loop.call_soon(self._dispatch)

    def forget(self, stream: Decodable[JobT, AnswerT]) -> None:
        """The stream wants no turn any more; it still takes the answer of a job that is being decoded."""
        self._urgent.pop(stream, None)
        self._usual.pop(stream, None)

    async def close(self) -> None:
        """End the threads, each after the job that it decodes now; no answer is given any more."""
        self._closed = True
        self._urgent.clear()
        self._usual.clear()
        await self._loop.run_in_executor(None, self._end)

    def _end(self) -> None:
        """In a thread: freeing the model, whose last user ``decode`` is, may take a while."""
        self._threads.shutdown()
        self._decode = lambda jobs: ()

    def _dispatch(self) -> None:
        self._dispatching = False
        while self._free and not self._closed and (jobs := self._collect()):
            self._free -= 1
            self._decoding.update(stream for stream, _ in jobs)
            answers = self._loop.run_in_executor(self._threads, self._answer, [job for _, job in jobs])
            answers.add_done_callback(partial(self._hand_out, jobs))

    def _collect(self) -> list[tuple[Decodable[JobT, AnswerT], JobT]]:
        jobs: list[tuple[Decodable[JobT, AnswerT], JobT]] = []
        for queue in (self._urgent, self._usual):
            for stream in tuple(queue):
                if len(jobs) == self._batch:
                    break
                if stream in self._decoding:
                    continue
                del queue[stream]
                if (job := stream.next_job()) is not None:
                    jobs.append((stream, job))
            if jobs:
                break
        return jobs

    def _answer(self, jobs: Sequence[JobT]) -> Sequence[AnswerT | EngineError]:
        """In a thread."""
        try:
            return self._decode(jobs)
        except Exception as error:  # noqa: BLE001 - the library's own, of any kind; none may end other calls
            if len(jobs) > 1 and self._repeatable:
                return [answer for job in jobs for answer in self._answer([job])]
            reason = f"{type(error).__name__}: {error}"
            log.warning("decoding_failed", engine=self._engine, reason=reason)
            return [EngineError(self._engine, f"decoding failed: {reason}")] * len(jobs)

    def _hand_out(
        self,
        jobs: Sequence[tuple[Decodable[JobT, AnswerT], JobT]],
        answers: asyncio.Future[Sequence[AnswerT | EngineError]],
    ) -> None:
        self._free += 1
        self._decoding.difference_update(stream for stream, _ in jobs)
        if self._closed:
            return
        for (stream, job), answer in zip(jobs, answers.result(), strict=True):
            stream.take(job, answer)
        self._dispatch()
