"""Streams of recognisers that share decoding threads: their segments, from the first audio to the final."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from app.engines.errors import EngineError
from app.engines.ports import HELD_SAMPLES, Expectation, RecognitionHints, Transcript
from app.engines.stt.decoding_pool import DecodingPool
from app.metrics import AUDIO_DROPPED
from telephony.media.frame import SAMPLE_RATE, Samples

JobT = TypeVar("JobT")
AnswerT = TypeVar("AnswerT")
AnswerT_contra = TypeVar("AnswerT_contra", contravariant=True)


class PooledSegment(Protocol[JobT, AnswerT_contra]):
    """The audio of a segment and what is known of its words. ``finished``: no more audio comes."""

    finished: bool

    @property
    def held(self) -> int:
        """Samples that are not decoded for good."""

    @property
    def due(self) -> bool:
        """Whether there is something to decode, or to say, now."""

    def push(self, samples: Samples, /) -> None:
        """Take the next audio."""

    def next_job(self) -> JobT | None:
        """What to decode now. ``None``: nothing is due, or, in a finished segment, nothing is left."""

    def hear(self, job: JobT, answer: AnswerT_contra | EngineError, /) -> Transcript | None:
        """Take what came of a job; gives the transcript to report, if any."""

    def final(self) -> Transcript:
        """What was heard, once nothing is left to decode."""


class PooledStream(Generic[JobT, AnswerT]):
    """One leg's recognition: the segments that have no final yet; the last is the one being spoken.

    ``new_segment`` is called on the event loop. Audio beyond ``most`` samples not decoded is dropped.
    """

    def __init__(
        self,
        engine: str,
        pool: DecodingPool[JobT, AnswerT],
        new_segment: Callable[[Expectation | None], PooledSegment[JobT, AnswerT]],
        sink: Callable[[Transcript], None],
        on_close: Callable[[PooledStream[JobT, AnswerT]], None],
        most: int,
    ) -> None:
        self._engine, self._pool, self._new_segment, self._on_close = engine, pool, new_segment, on_close
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._sink: Callable[[Transcript], None] | None = sink
        self._expectation: Expectation | None = None
        self._segments = deque([new_segment(None)])
        self._pushed = False  # the last segment has audio

    def push(self, samples: Samples) -> None:
        """Keep the audio; when there is enough of it, ask for a turn."""
        if self._sink is None or not samples.size:
            return
        if sum(segment.held for segment in self._segments) + samples.size > self._most:
            AUDIO_DROPPED.labels(self._engine).inc(samples.size / SAMPLE_RATE)
            return
        segment = self._segments[-1]
        segment.push(samples)
        self._pushed = True
        if segment.due and len(self._segments) == 1:
            self._pool.ask(self)

    def finish_segment(self) -> None:
        """The final comes once the audio before it is decoded."""
        if self._sink is None:
            return
        self._segments[-1].finished = True
        self._segments.append(self._new_segment(self._expectation))
        self._pushed = False
        self._pool.ask(self, urgent=True)

    def expect(self, expectation: Expectation | None) -> None:
        """From the next segment on; where the current one has no audio yet, from it on."""
        self._expectation = expectation
        if self._segments and not self._pushed:
            self._segments[-1] = self._new_segment(expectation)

    async def close(self) -> None:
        """Free the stream. What is being decoded is decoded to its end, for nobody."""
        self.shut()

    def shut(self) -> None:
        """Report nothing more."""
        self._sink = None
        self._segments.clear()
        self._pool.forget(self)
        self._on_close(self)

    def next_job(self) -> JobT | None:
        """What to decode next; segments with nothing to decode have their finals at once."""
        while self._segments:
            segment = self._segments[0]
            job = segment.next_job()
            if job is not None or not segment.finished:
                return job
            self._report(segment.final())
        return None

    def take(self, job: JobT, answer: AnswerT | EngineError) -> None:
        """What came of a job of the oldest segment."""
        if self._sink is None:
            return
        transcript = self._segments[0].hear(job, answer)
        if transcript is not None:
            self._report(transcript)
        if self._segments[0].due:
            self._pool.ask(self, urgent=self._segments[0].finished)

    def _report(self, transcript: Transcript) -> None:
        """Soon, not from inside the pool: a sink that fails ends no other call of a batch."""
        if transcript.final:
            self._segments.popleft()
        self._loop.call_soon(self._tell, transcript)

    def _tell(self, transcript: Transcript) -> None:
        if self._sink is not None:
            self._sink(transcript)


class PooledRecogniser(Generic[JobT, AnswerT]):
    """What such recognisers have in common. A subclass loads the model and makes ``_pool``."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._pool: DecodingPool[JobT, AnswerT] | None = None
        self._streams: set[PooledStream[JobT, AnswerT]] = set()

    async def close(self) -> None:
        """End the threads, each after what it decodes now; streams still open report nothing more."""
        for stream in tuple(self._streams):
            stream.shut()
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def prepare(self, hints: RecognitionHints) -> None:
        """Nothing is to be loaded for hints."""

    def _stream(
        self,
        new_segment: Callable[[Expectation | None], PooledSegment[JobT, AnswerT]],
        sink: Callable[[Transcript], None],
        most: int = HELD_SAMPLES,
    ) -> PooledStream[JobT, AnswerT]:
        """A stream for one leg. Raises ``EngineError`` where the engine was not started."""
        if self._pool is None:
            raise EngineError(self._engine, "it was not started")
        stream = PooledStream(self._engine, self._pool, new_segment, sink, self._streams.discard, most)
        self._streams.add(stream)
        return stream
