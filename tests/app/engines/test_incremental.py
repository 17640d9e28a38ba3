"""Streams that share decoding threads, over an engine that hears what it is told to hear."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from app.engines.ports import RecogniserStream, RecognitionHints, Transcript
from app.engines.stt.decoding_pool import DecodingPool
from app.engines.stt.incremental import IncrementalRecogniser, Piece
from bench.caller import Caller
from telephony.media.frame import SAMPLE_RATE, silence

FRAME = silence(SAMPLE_RATE // 10)


class Told(IncrementalRecogniser[object]):
    """Hears a word in each piece. ``failures``: of so many decodings to come."""

    name = "told"

    def __init__(self) -> None:
        super().__init__(self.name)
        self.failures = 0
        self.decoded = 0

    async def start(self) -> None:
        self._pool = DecodingPool(self.name, 1, self._decode, 64, repeatable=False)

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> RecogniserStream:
        return self._hearing(lambda _: object(), sink)

    def _decode(self, pieces: Sequence[Piece[object]]) -> list[Transcript]:
        self.decoded += 1
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the library")
        return [Transcript(f"word {self.decoded}", final=piece.last) for piece in pieces]


@pytest.fixture
async def engine() -> AsyncIterator[Told]:
    engine = Told()
    await engine.start()
    yield engine
    await engine.close()


async def test_a_lost_segment_is_decoded_no_more(engine: Told) -> None:
    engine.failures = 1
    caller = Caller(engine)
    for _ in range(5):
        caller.stream.push(FRAME)
        await asyncio.sleep(0.02)
    caller.stream.finish_segment()
    assert (await caller.next_final()).lost
    assert caller.interims == []
    assert engine.decoded == 1
    assert (await caller.say(FRAME)).text == "word 2"
