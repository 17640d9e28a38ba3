"""The ``timed`` recogniser: no inference, a fixed transcript at exact times (bench profile)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from app.engines.ports import EMPTY, Expectation, RecognitionHints, Transcript
from config.engines import TimedSettings
from telephony.media.frame import SAMPLE_RATE, Samples

_WORDS_AN_INTERIM = 2


class TimedRecogniser:
    """Hears ``settings.transcript`` in every segment that holds audio.

    An interim, two words longer each time, for every ``interim_every`` seconds of audio pushed; the final
    exactly ``final_after`` seconds after ``finish_segment``.
    """

    name = "timed"

    def __init__(self, settings: TimedSettings) -> None:
        words = settings.transcript.split()
        self._interims = tuple(
            Transcript(" ".join(words[:count]), final=False)
            for count in range(_WORDS_AN_INTERIM, len(words) + _WORDS_AN_INTERIM, _WORDS_AN_INTERIM)
        )
        self._final = Transcript(settings.transcript, final=True)
        self._interim_samples = max(1, round(settings.interim_every * SAMPLE_RATE))
        self._final_after = settings.final_after

    async def start(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to free."""

    async def prepare(self, hints: RecognitionHints) -> None:
        """Nothing depends on the hints."""

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> TimedRecogniserStream:
        """A stream for one leg."""
        return TimedRecogniserStream(
            self._interims, self._final, self._interim_samples, self._final_after, sink
        )


class TimedRecogniserStream:
    """One leg of the timed recogniser."""

    def __init__(
        self,
        interims: tuple[Transcript, ...],
        final: Transcript,
        interim_samples: int,
        final_after: float,
        sink: Callable[[Transcript], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._interims, self._final = interims, final
        self._interim_samples, self._final_after = interim_samples, final_after
        self._sink: Callable[[Transcript], None] | None = sink
        self._pushed = 0  # samples of this segment
        self._told = 0  # interims of this segment
        self._answers: deque[tuple[Transcript, asyncio.TimerHandle]] = deque()

    def push(self, samples: Samples) -> None:
        """Count the audio; an interim is due at every ``interim_every`` seconds of it."""
        self._pushed += samples.size
        while self._told < len(self._interims) and self._pushed >= (self._told + 1) * self._interim_samples:
            self._loop.call_soon(self._report, self._interims[self._told])
            self._told += 1

    def finish_segment(self) -> None:
        """The final is due ``final_after`` seconds from now; it is empty when no audio came."""
        answer = self._final if self._pushed else EMPTY
        self._pushed = self._told = 0
        due = self._loop.time() + self._final_after
        # Timers of equal time may fire in any order: each reports the oldest answer.
        self._answers.append((answer, self._loop.call_at(due, self._answer)))

    def expect(self, expectation: Expectation | None) -> None:
        """The transcript is the same whatever is expected."""

    async def close(self) -> None:
        """Report nothing more."""
        self._sink = None
        while self._answers:
            self._answers.popleft()[1].cancel()

    def _answer(self) -> None:
        self._report(self._answers.popleft()[0])

    def _report(self, transcript: Transcript) -> None:
        if self._sink is not None:
            self._sink(transcript)
