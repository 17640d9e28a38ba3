"""Recognisers in order; speech whose words one of them lost is heard again by the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from app.engines.errors import EngineError, EngineTimeout, RequestRefused
from app.engines.fallback.candidate import Candidate
from app.engines.fallback.choice import CallEngine, Choice, Fallback
from app.engines.fallback.roster import Note, Roster, unrecorded
from app.engines.ports import (
    HELD_SAMPLES,
    LOST,
    Expectation,
    Recogniser,
    RecogniserStream,
    RecognitionHints,
    Transcript,
)
from config.engines import FallbackSettings
from telephony.media.frame import SAMPLE_RATE, Samples, silence

_TRIAL_SAMPLES = SAMPLE_RATE // 2
_RECOVERY_SECONDS = 0.6  # for an engine that has no other to take over: a worker process is back after 0.4 s
_AGAIN = 0.2  # seconds allowed for hearing a second of speech again


class FallbackRecogniser(Fallback[Recogniser]):
    """The recognisers of ``engines``, best first.

    A final may take as long as ``Patience`` says where another recogniser could take over, and as long as the
    engine itself allows where none could. Finals that no engine gives are empty and ``lost``.
    """

    def __init__(self, engines: Sequence[Recogniser], settings: FallbackSettings) -> None:
        super().__init__(Roster("stt", engines, settings, self._trial))
        self.streams: set[FallbackStream] = set()
        self._taken: dict[Recogniser, RecognitionHints] = {}

    async def start(self) -> None:
        """Start all. Raises ``EngineUnavailable``."""
        await self.roster.start()

    async def close(self) -> None:
        """Close all; streams still open report nothing more."""
        for stream in tuple(self.streams):
            stream.shut()
        await super().close()

    async def prepare(self, hints: RecognitionHints) -> None:
        """Load what these hints need in each recogniser that takes them, and let each one hear something.

        Raises as ``load`` does, and ``EngineUnavailable`` where a recogniser does not work for good.
        """
        await self.load(hints)
        await self.roster.check()

    async def load(self, hints: RecognitionHints) -> None:
        """Load what these hints need in each recogniser that takes them.

        Raises ``RequestRefused`` where none of those that started does, ``EngineError`` where one fails.
        """
        refusals = []
        started = [candidate for candidate in self.roster.candidates if candidate.started]
        for candidate in started:
            try:
                await candidate.engine.prepare(hints)
            except RequestRefused as error:
                candidate.refused(error)
                refusals.append(error)
            else:
                self._taken[candidate.engine] = hints
        if refusals and len(refusals) == len(started):
            raise refusals[0]

    def for_call(self, note: Note) -> CallRecogniser:
        """The recognisers as one call uses them; ``note`` writes into its record."""
        return CallRecogniser(self, note)

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> RecogniserStream:
        """A stream for no call in particular."""
        return self.for_call(unrecorded).open(hints, sink)

    async def _trial(self, engine: Recogniser) -> None:
        """Let it hear silence, with hints that it takes. One that refuses them works, and serves others."""
        heard: asyncio.Future[Transcript] = asyncio.get_running_loop().create_future()

        def take(transcript: Transcript) -> None:
            if transcript.final and not heard.done():
                heard.set_result(transcript)

        hints = self._taken.get(engine, RecognitionHints())
        try:
            await engine.prepare(hints)
            stream = engine.open(hints, take)
        except RequestRefused:
            return
        try:
            stream.push(silence(_TRIAL_SAMPLES))
            stream.finish_segment()
            if (await heard).lost:
                raise EngineError(engine.name, "it lost the audio of a trial")
        finally:
            await stream.close()


class CallRecogniser(CallEngine[Recogniser]):
    """The recognisers as one call uses them."""

    def __init__(self, shared: FallbackRecogniser, note: Note) -> None:
        super().__init__(shared.roster, note)
        self._shared = shared

    async def prepare(self, hints: RecognitionHints) -> None:
        """Load what these hints need. Raises as ``FallbackRecogniser.prepare`` does."""
        await self._shared.prepare(hints)

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> FallbackStream:
        """The call's stream: it stays with the recogniser that it was moved to."""
        stream = FallbackStream(self.choice, hints, sink, self._shared.streams.discard)
        self._shared.streams.add(stream)
        return stream


@dataclass(slots=True)
class _Segment:
    """Speech whose words are not known yet."""

    audio: list[Samples] = field(default_factory=list)
    samples: int = 0
    asked: float | None = None  # when its final was asked for, of the engine that has it now
    again: bool = False  # that engine was given all of it at once
    tried: list[Candidate[Recogniser]] = field(default_factory=list)  # that lost it


@dataclass(frozen=True, slots=True, eq=False)
class _Ear:
    """A stream, and whose it is."""

    candidate: Candidate[Recogniser]
    stream: RecogniserStream


class FallbackStream:
    """One leg's recognition."""

    def __init__(
        self,
        choice: Choice[Recogniser],
        hints: RecognitionHints,
        sink: Callable[[Transcript], None],
        closed: Callable[[FallbackStream], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._choice, self._hints, self._closed = choice, hints, closed
        self._sink: Callable[[Transcript], None] | None = sink
        self._segments: deque[_Segment] = deque((_Segment(),))  # the last one is still being spoken
        self._kept = 0  # samples of them all
        self._owed: deque[_Segment] = deque()  # whose finals the ear owes
        self._expected: Expectation | None = None
        self._timer: asyncio.TimerHandle | None = None  # of the oldest final
        self._recovery: asyncio.TimerHandle | None = None  # while an engine is given time to recover
        self._closing: list[asyncio.Task[None]] = []  # streams that were left
        self._ear = self._first()

    def push(self, samples: Samples) -> None:
        """Take audio; it is kept until its words are known, ``HELD_SAMPLES`` at most: a megabyte."""
        if self._kept + len(samples) <= HELD_SAMPLES:
            self._kept += len(samples)
            self._segments[-1].audio.append(samples)
            self._segments[-1].samples += len(samples)
        self._ear.stream.push(samples)

    def finish_segment(self) -> None:
        """The caller paused."""
        self._segments[-1].asked = self._loop.time()
        self._owed.append(self._segments[-1])
        self._segments.append(_Segment())
        self._ear.stream.finish_segment()
        self._arm()

    def expect(self, expectation: Expectation | None) -> None:
        """What the caller was asked for."""
        self._expected = expectation
        self._ear.stream.expect(expectation)

    def shut(self) -> None:
        """Report nothing more."""
        self._sink = None
        self._disarm()
        if self._recovery is not None:
            self._recovery.cancel()
        self._closed(self)

    async def close(self) -> None:
        """Free the streams."""
        self.shut()
        self._owed.clear()
        self._segments.clear()
        self._segments.append(_Segment())
        await self._ear.stream.close()
        await asyncio.gather(*self._closing)

    def _first(self) -> _Ear:
        """A stream of the best engine that takes these hints. Raises ``EngineError`` when none does."""
        candidate: Candidate[Recogniser] | None = self._choice.best()
        tried: list[Candidate[Recogniser]] = []
        while candidate is not None:
            try:
                return self._open(candidate)
            except EngineError as error:
                problem = error
                candidate = self._choice.after(candidate, error, tried)
        raise problem

    def _open(self, candidate: Candidate[Recogniser]) -> _Ear:
        """A stream whose reports count as long as it is the ear."""
        ears: list[_Ear] = []

        def take(transcript: Transcript) -> None:
            if ears and ears[0] is self._ear and self._sink is not None:
                self._take(transcript)

        ears.append(_Ear(candidate, candidate.engine.open(self._hints, take)))
        if self._expected is not None:
            ears[0].stream.expect(self._expected)
        return ears[0]

    def _take(self, transcript: Transcript) -> None:
        if self._recovery is not None:
            return
        if not transcript.final:
            self._report(transcript)
            return
        if not self._owed:
            return  # a final that nobody asked for
        segment = self._owed.popleft()
        if segment is not self._segments[0] or segment.asked is None:
            return  # given up before it came
        candidate = self._ear.candidate
        if transcript.lost:
            self._lose(candidate, EngineError(candidate.engine.name, "it lost what the caller said"))
            return
        if not segment.again:
            candidate.answered(self._loop.time() - segment.asked)
        candidate.succeeded()
        self._settle(transcript)

    def _settle(self, transcript: Transcript) -> None:
        self._kept -= self._segments.popleft().samples
        self._arm()
        self._report(transcript)

    def _report(self, transcript: Transcript) -> None:
        if self._sink is not None:
            self._sink(transcript)

    # Losing an engine

    def _late(self) -> None:
        self._timer = None
        if not self._other():
            return  # the one that could have taken over was given up meanwhile
        candidate = self._ear.candidate
        seconds = candidate.first.timeout
        candidate.first.observe(seconds)
        self._lose(candidate, EngineTimeout(candidate.engine.name, f"no final within {seconds:.2f} s"))

    def _lose(self, failed: Candidate[Recogniser], error: EngineError) -> None:
        """The oldest segment has no words: another engine hears it and all that came after it."""
        self._disarm()
        chosen = self._choice.after(failed, error, self._segments[0].tried)
        if chosen is None:
            self._settle(LOST)
        elif chosen is failed:
            self._recovery = self._loop.call_later(_RECOVERY_SECONDS, self._hear_again, chosen)
        else:
            self._hear_again(chosen)

    def _hear_again(self, chosen: Candidate[Recogniser]) -> None:
        """Give the engine, which is new or may have recovered, all that has no words yet."""
        self._recovery = None
        try:
            ear = self._open(chosen)
        except EngineError as problem:  # it does not take these hints
            self._lose(chosen, problem)
            return
        self._leave(self._ear.stream)
        self._ear = ear
        self._owed.clear()
        for segment in self._segments:
            if segment.audio:
                ear.stream.push(np.concatenate(segment.audio))
            segment.again = segment.samples > 0
            if segment.asked is not None:
                segment.asked = self._loop.time()
                self._owed.append(segment)
                ear.stream.finish_segment()
        self._arm()

    def _leave(self, stream: RecogniserStream) -> None:
        """Close it beside the call: whoever loses an engine is told so, and cannot wait. ``close`` does."""
        self._closing.append(self._loop.create_task(stream.close(), name="recogniser left"))

    def _other(self) -> bool:
        """Whether an engine that has not lost the oldest segment could take over."""
        return self._choice.other(self._ear.candidate, self._segments[0].tried)

    def _arm(self) -> None:
        """Wait for the oldest final no longer than this engine usually needs, where there is another."""
        self._disarm()
        segment = self._segments[0]
        waits = self._recovery is None and self._sink is not None
        if not waits or segment.asked is None or not self._other():
            return
        decoding = _AGAIN * segment.samples / SAMPLE_RATE if segment.again else 0.0
        patience = self._ear.candidate.first.timeout
        self._timer = self._loop.call_at(segment.asked + patience + decoding, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
