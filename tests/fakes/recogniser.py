"""A recogniser that hears what it is told to hear."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from app.engines.ports import Expectation, RecognisedWord, RecognitionHints, Transcript
from telephony.media.frame import SAMPLE_RATE, Samples

WORD_SAMPLES = SAMPLE_RATE // 5


class FakeRecogniser:
    """Every segment with audio holds the next of ``texts``, then ``otherwise``.

    An interim of one word more for every 0.2 s of audio; the final ``final_after`` seconds after it is asked
    for. Finals are in ``language``; where the engine ``tells_times``, they have words of 0.2 s each and a
    confidence of 0.9. ``prepared``, ``expected`` and ``streams`` are there to be looked at.
    """

    name = "fake"

    def __init__(
        self,
        texts: Iterable[str] = (),
        otherwise: str = "hello",
        final_after: float = 0.0,
        *,
        tells_times: bool = False,
        language: str | None = None,
    ) -> None:
        self.texts = deque(texts)
        self.otherwise = otherwise
        self.final_after = final_after
        self.tells_times = tells_times
        self.language = language
        self.prepared: list[RecognitionHints] = []
        self.expected: list[Expectation | None] = []
        self.streams: list[FakeRecogniserStream] = []

    async def start(self) -> None: ...

    async def close(self) -> None:
        for stream in self.streams:
            await stream.close()

    async def prepare(self, hints: RecognitionHints) -> None:
        self.prepared.append(hints)

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> FakeRecogniserStream:
        stream = FakeRecogniserStream(self, sink)
        self.streams.append(stream)
        return stream


class FakeRecogniserStream:
    def __init__(self, engine: FakeRecogniser, sink: Callable[[Transcript], None]) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._sink: Callable[[Transcript], None] | None = sink
        self._answers: deque[Transcript] = deque()
        self._text: str | None = None
        self._told = 0
        self.pushed = 0  # samples of the segment

    def push(self, samples: Samples) -> None:
        if not samples.size:
            return
        if self._text is None:
            self._text = self._engine.texts.popleft() if self._engine.texts else self._engine.otherwise
        self.pushed += samples.size
        words = self._text.split()
        while self._told < min(len(words), self.pushed // WORD_SAMPLES):
            self._told += 1
            self._loop.call_soon(self._report, Transcript(" ".join(words[: self._told]), final=False))

    def finish_segment(self) -> None:
        words = self._words() if self._engine.tells_times else ()
        self._answers.append(
            Transcript(self._text or "", True, 0.9 if words else 1.0, words, self._engine.language)
        )
        self._text, self._told, self.pushed = None, 0, 0
        self._loop.call_later(self._engine.final_after, self._answer)

    def expect(self, expectation: Expectation | None) -> None:
        self._engine.expected.append(expectation)

    async def close(self) -> None:
        self._sink = None

    def _words(self) -> tuple[RecognisedWord, ...]:
        return tuple(
            RecognisedWord(word, number * WORD_SAMPLES, (number + 1) * WORD_SAMPLES, 0.9)
            for number, word in enumerate((self._text or "").split())
        )

    def _answer(self) -> None:
        self._report(self._answers.popleft())

    def _report(self, transcript: Transcript) -> None:
        if self._sink is not None:
            self._sink(transcript)
