from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest

from app.engines.ports import Expectation, Recogniser, RecogniserStream, RecognitionHints, Transcript
from app.engines.stt.pocketsphinx import PocketsphinxRecogniser
from app.engines.stt.timed import TimedRecogniser
from config.settings import ROOT, PocketsphinxSettings, TimedSettings
from telephony.media.frame import Samples, silence
from telephony.simulator.speech import read_wav
from tests.contracts.probe import leaves_nothing, never_stalls
from tests.fakes.recogniser import FakeRecogniser

ENGINES: dict[str, Callable[[], Recogniser]] = {
    "timed": lambda: TimedRecogniser(TimedSettings()),
    "pocketsphinx": lambda: PocketsphinxRecogniser(PocketsphinxSettings()),
    "fake": FakeRecogniser,
}
HINTS = RecognitionHints(phrases=("where is my parcel", "what are your opening hours", "goodbye"))
SPEECH = read_wav(ROOT / "demo" / "parcel.wav")
PATIENCE = 15.0  # seconds; a machine that others use too


@pytest.fixture(params=ENGINES)
def make(request: pytest.FixtureRequest) -> Callable[[], Recogniser]:
    return ENGINES[request.param]


@pytest.fixture
async def engine(make: Callable[[], Recogniser]) -> AsyncIterator[Recogniser]:
    engine = make()
    await engine.start()
    yield engine
    await engine.close()


class Leg:
    """A stream and what it reported."""

    def __init__(self, engine: Recogniser, hints: RecognitionHints = HINTS) -> None:
        self.heard: list[Transcript] = []
        self.inside = False  # of a call to the stream
        self.reentered = False
        self._news = asyncio.Event()
        self.stream: RecogniserStream = engine.open(hints, self._sink)

    @property
    def finals(self) -> list[Transcript]:
        return [transcript for transcript in self.heard if transcript.final]

    def push(self, samples: Samples, size: int = 160) -> None:
        self.inside = True
        for start in range(0, samples.size, size):
            self.stream.push(samples[start : start + size])
        self.inside = False

    def finish(self) -> None:
        self.inside = True
        self.stream.finish_segment()
        self.inside = False

    async def until_finals(self, count: int) -> list[Transcript]:
        async with asyncio.timeout(PATIENCE):
            while len(self.finals) < count:
                self._news.clear()
                await self._news.wait()
        return self.finals

    def _sink(self, transcript: Transcript) -> None:
        self.reentered = self.reentered or self.inside
        self.heard.append(transcript)
        self._news.set()


async def test_every_segment_has_one_final_after_its_interims(engine: Recogniser) -> None:
    await engine.prepare(HINTS)
    leg = Leg(engine)
    for count in range(1, 4):
        leg.push(SPEECH)
        leg.finish()
        finals = await leg.until_finals(count)
        assert len(finals) == count
        assert finals[-1].text
        assert leg.heard[-1].final
    interims = [transcript for transcript in leg.heard if not transcript.final]
    assert interims
    assert all(transcript.text for transcript in interims)
    assert not leg.reentered


async def test_finals_come_in_order_when_asked_for_in_a_row(engine: Recogniser) -> None:
    leg = Leg(engine)
    for empty in (False, True, False, True, True):
        leg.push(silence(0) if empty else SPEECH)
        leg.finish()
    finals = await leg.until_finals(5)
    assert [bool(final.text) for final in finals] == [True, False, True, False, False]
    assert len(leg.finals) == 5


async def test_a_segment_without_audio_has_an_empty_final(engine: Recogniser) -> None:
    leg = Leg(engine)
    leg.finish()
    leg.stream.push(silence(0))
    leg.finish()
    assert [final.text for final in await leg.until_finals(2)] == ["", ""]


@pytest.mark.parametrize("samples", [1, 7, 159, 161, 4001])
async def test_audio_may_have_any_length(engine: Recogniser, samples: int) -> None:
    leg = Leg(engine)
    leg.push(SPEECH, size=samples)
    leg.finish()
    leg.push(SPEECH[:samples], size=1)
    leg.finish()
    finals = await leg.until_finals(2)
    assert finals[0].text


@pytest.mark.parametrize("value", [0, 32767, -32768])
async def test_silence_and_full_scale_are_audio_too(engine: Recogniser, value: int) -> None:
    leg = Leg(engine)
    leg.push(np.full(12_000, value, dtype=np.int16))
    leg.finish()
    assert len(await leg.until_finals(1)) == 1


async def test_a_closed_stream_reports_nothing_more(engine: Recogniser) -> None:
    await engine.prepare(HINTS)
    leg = Leg(engine)
    leg.push(SPEECH)
    leg.finish()
    await leg.stream.close()
    heard = len(leg.heard)
    leg.push(SPEECH)
    leg.finish()
    await leg.stream.close()
    await asyncio.sleep(0.3)
    assert len(leg.heard) == heard


async def test_an_expectation_may_come_at_any_time(engine: Recogniser) -> None:
    leg = Leg(engine)
    leg.stream.expect(Expectation("digits", 5))
    leg.push(SPEECH[:4000])
    leg.stream.expect(None)
    leg.push(SPEECH[4000:])
    leg.finish()
    leg.stream.expect(Expectation("digits"))
    leg.stream.expect(Expectation("digits", 20))
    leg.finish()
    leg.push(SPEECH)
    leg.finish()
    assert len(await leg.until_finals(3)) == 3


async def test_twenty_streams_at_once(engine: Recogniser) -> None:
    await engine.prepare(HINTS)
    legs = [Leg(engine) for _ in range(20)]
    for start in range(0, SPEECH.size, 1600):
        for leg in legs:
            leg.push(SPEECH[start : start + 1600])
        await asyncio.sleep(0)
    for leg in legs[:10]:
        leg.finish()
        leg.finish()
    for leg in legs[10:]:
        leg.finish()
    for number, leg in enumerate(legs):
        assert len(await leg.until_finals(2 if number < 10 else 1)) == (2 if number < 10 else 1)
        assert leg.finals[0].text


async def test_the_event_loop_goes_on(engine: Recogniser) -> None:
    await engine.prepare(HINTS)
    legs = [Leg(engine) for _ in range(10)]
    rounds = 0

    async def work() -> None:
        nonlocal rounds
        rounds += 1
        for start in range(0, SPEECH.size, 160):
            for leg in legs:
                leg.stream.push(SPEECH[start : start + 160])
            await asyncio.sleep(0.002)
        for leg in legs:
            leg.finish()
        for leg in legs:
            await leg.until_finals(rounds)

    await never_stalls(work)


async def test_nothing_is_left_after_close(make: Callable[[], Recogniser]) -> None:
    async def use() -> None:
        engine = make()
        await engine.start()
        await engine.prepare(HINTS)
        legs = [Leg(engine) for _ in range(3)]
        for leg in legs:
            leg.push(SPEECH)
            leg.finish()
        await legs[0].until_finals(1)
        await legs[1].stream.close()
        await engine.close()  # with streams open, and finals owed
        heard = [len(leg.heard) for leg in legs]
        await asyncio.sleep(0.15)
        if engine.name != "timed":  # it has nothing to stop
            assert [len(leg.heard) for leg in legs] == heard
        for leg in legs:
            await leg.stream.close()

    await leaves_nothing(use)


async def test_an_engine_may_be_closed_twice_and_unstarted(make: Callable[[], Recogniser]) -> None:
    engine = make()
    await engine.close()
    await engine.start()
    await engine.close()
    await engine.close()
