from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from app.engines.fallback.recogniser import FallbackRecogniser
from app.engines.ports import HELD_SAMPLES, Expectation, Recogniser, RecognitionHints, Transcript
from app.engines.stt.faster_whisper import FasterWhisperRecogniser
from app.engines.stt.openai_compatible import OpenAICompatibleRecogniser
from app.engines.stt.pocketsphinx import PocketsphinxRecogniser
from app.engines.stt.sherpa_onnx import SherpaOnnxRecogniser
from app.engines.stt.timed import TimedRecogniser, TimedRecogniserStream
from app.engines.stt.vosk import VoskRecogniser
from app.engines.stt.wyoming import WyomingRecogniser
from bench.caller import Caller, dropped_seconds
from config.engines import (
    EngineSettings,
    FallbackSettings,
    FasterWhisperSettings,
    OpenAISpeechToTextSettings,
    PocketsphinxSettings,
    SherpaOnnxSettings,
    TimedSettings,
    VoskSettings,
    WyomingSettings,
)
from config.settings import ROOT
from telephony.media.frame import Samples, silence
from telephony.simulator.speech import read_wav
from tests.contracts.probe import leaves_nothing, never_stalls
from tests.fakes.recogniser import FakeRecogniser
from tests.peers.apart import Addresses
from tests.peers.openai_audio import OpenAIAudioServer, delta, done, streamed
from tests.peers.sherpa_model import build_sherpa
from tests.peers.vosk_model import build_vosk
from tests.peers.whisper_model import build_whisper
from tests.peers.wyoming_server import WyomingServer

HINTS = RecognitionHints(phrases=("where is my parcel", "what are your opening hours", "goodbye"))
SPEECH = read_wav(ROOT / "demo" / "parcel.wav")
Make = Callable[[], AbstractAsyncContextManager[Recogniser]]
"""Gives an engine, not started, while the peer or model that it needs is there; closes it in the end."""


@asynccontextmanager
async def closing(engine: Recogniser) -> AsyncIterator[Recogniser]:
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def openai() -> AsyncIterator[Recogniser]:
    answer = streamed(delta("where is"), delta(" it"), done("where is it"))
    async with OpenAIAudioServer(answer).running() as server:
        settings = EngineSettings(openai_stt=OpenAISpeechToTextSettings(base_url=server.url))
        async with closing(OpenAICompatibleRecogniser(settings)) as engine:
            yield engine


@asynccontextmanager
async def wyoming() -> AsyncIterator[Recogniser]:
    async with (
        WyomingServer(texts=["where is it"], streams=True).running() as server,
        closing(WyomingRecogniser(WyomingSettings(stt_url=server.url))) as engine,
    ):
        yield engine


class LosingRecogniser(TimedRecogniser):
    """Loses every segment."""

    name = "losing"

    def __init__(self) -> None:
        super().__init__(TimedSettings(final_after=0.01))

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> TimedRecogniserStream:
        return super().open(
            hints, lambda heard: sink(replace(heard, text="", lost=True)) if heard.final else None
        )


@asynccontextmanager
async def faster_whisper() -> AsyncIterator[Recogniser]:
    with TemporaryDirectory() as folder:
        build_whisper(Path(folder) / "tiny")
        async with closing(
            FasterWhisperRecogniser(FasterWhisperSettings(model="tiny"), Path(folder))
        ) as engine:
            yield engine


@asynccontextmanager
async def sherpa_onnx() -> AsyncIterator[Recogniser]:
    with TemporaryDirectory() as folder:
        build_sherpa(Path(folder) / "tiny", hotwords=True)
        async with closing(SherpaOnnxRecogniser(SherpaOnnxSettings(model="tiny"), Path(folder))) as engine:
            yield engine


@asynccontextmanager
async def vosk() -> AsyncIterator[Recogniser]:
    with TemporaryDirectory() as folder:
        build_vosk(Path(folder) / "tiny")
        async with closing(VoskRecogniser(VoskSettings(model="tiny"), Path(folder))) as engine:
            yield engine


ENGINES: dict[str, Make] = {
    "faster_whisper": faster_whisper,
    "sherpa_onnx": sherpa_onnx,
    "vosk": vosk,
    "openai_compatible": openai,
    "wyoming": wyoming,
    "fallback": lambda: closing(
        FallbackRecogniser([LosingRecogniser(), TimedRecogniser(TimedSettings())], FallbackSettings())
    ),
    "timed": lambda: closing(TimedRecogniser(TimedSettings())),
    "pocketsphinx": lambda: closing(PocketsphinxRecogniser(PocketsphinxSettings())),
    "fake": lambda: closing(FakeRecogniser()),
}
APART: dict[str, Callable[[Addresses], Recogniser]] = {
    "openai_compatible": lambda at: OpenAICompatibleRecogniser(
        EngineSettings(openai_stt=OpenAISpeechToTextSettings(base_url=at.audio))
    ),
    "wyoming": lambda at: WyomingRecogniser(WyomingSettings(stt_url=at.wyoming)),
}
"""Engines of servers, which must not be in the loop that is measured."""


@pytest.fixture(params=ENGINES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(name: str) -> Make:
    return ENGINES[name]


@pytest.fixture
async def engine(make: Make) -> AsyncIterator[Recogniser]:
    async with make() as engine:
        await engine.start()
        yield engine


class Leg(Caller):
    """A caller who notices a report from inside a call to the stream."""

    def __init__(self, engine: Recogniser) -> None:
        self.inside = False
        self.reentered = False
        super().__init__(engine, HINTS)

    def push(self, samples: Samples, size: int = 160) -> None:
        self.inside = True
        self._push(samples, size)
        self.inside = False

    def finish(self) -> None:
        self.inside = True
        self.stream.finish_segment()
        self.inside = False

    def _sink(self, transcript: Transcript) -> None:
        self.reentered = self.reentered or self.inside
        super()._sink(transcript)


async def test_every_segment_has_one_final_after_its_interims(engine: Recogniser) -> None:
    await engine.prepare(HINTS)
    leg = Leg(engine)
    for count in range(1, 4):
        leg.push(SPEECH)
        await asyncio.sleep(0.3)  # what is finished at once needs no interim
        leg.finish()
        finals = await leg.until(count)
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
    finals = await leg.until(5)
    assert [bool(final.text) for final in finals] == [True, False, True, False, False]
    assert len(leg.finals) == 5


async def test_the_language_may_be_written_with_an_underscore(engine: Recogniser) -> None:
    hints = replace(HINTS, language="EN_us")
    await engine.prepare(hints)
    assert (await Caller(engine, hints).say(SPEECH)).text


async def test_a_segment_without_audio_has_an_empty_final(engine: Recogniser) -> None:
    leg = Leg(engine)
    leg.finish()
    leg.stream.push(silence(0))
    leg.finish()
    assert [final.text for final in await leg.until(2)] == ["", ""]


@pytest.mark.parametrize("samples", [1, 7, 159, 161, 4001])
async def test_audio_may_have_any_length(engine: Recogniser, samples: int) -> None:
    leg = Leg(engine)
    leg.push(SPEECH, size=samples)
    leg.finish()
    leg.push(SPEECH[:samples], size=1)
    leg.finish()
    finals = await leg.until(2)
    assert finals[0].text


async def test_all_that_another_recogniser_lost_may_come_at_once(engine: Recogniser) -> None:
    await engine.prepare(HINTS)
    leg = Leg(engine)
    before = dropped_seconds(engine)
    leg.push(np.concatenate((SPEECH, silence(HELD_SAMPLES - SPEECH.size))))
    leg.finish()
    (final,) = await leg.until(1)
    assert final.text
    assert not final.lost
    assert dropped_seconds(engine) == before


@pytest.mark.parametrize("name", APART)
async def test_the_event_loop_goes_on_while_all_of_it_comes_at_once(name: str, addresses: Addresses) -> None:
    minute = np.resize(SPEECH, HELD_SAMPLES)
    async with closing(APART[name](addresses)) as engine:
        await engine.start()
        await engine.prepare(HINTS)
        leg = Leg(engine)
        rounds = 0

        async def work() -> None:
            nonlocal rounds
            rounds += 1
            await asyncio.sleep(0.01)  # from here on the loop is measured
            leg.push(minute)
            leg.finish()
            assert (await leg.until(rounds))[-1].text

        await never_stalls(work)


@pytest.mark.parametrize("value", [0, 32767, -32768])
async def test_silence_and_full_scale_are_audio_too(engine: Recogniser, value: int) -> None:
    leg = Leg(engine)
    leg.push(np.full(12_000, value, dtype=np.int16))
    leg.finish()
    assert len(await leg.until(1)) == 1


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
    assert len(await leg.until(3)) == 3


async def test_a_sink_that_fails_ends_no_other_call(engine: Recogniser) -> None:
    await engine.prepare(HINTS)
    problems: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context["exception"]))

    def fail(transcript: Transcript) -> None:
        raise ValueError(transcript.text)

    failing = engine.open(HINTS, fail)
    leg = Leg(engine)
    for count in range(1, 4):
        failing.push(SPEECH)
        leg.push(SPEECH)
        failing.finish_segment()
        leg.finish()
        assert (await leg.until(count))[-1].text
    assert {type(problem) for problem in problems} == {ValueError}


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
        assert len(await leg.until(2 if number < 10 else 1)) == (2 if number < 10 else 1)
        assert leg.finals[0].text


async def test_the_event_loop_goes_on(name: str, make: Make, addresses: Addresses) -> None:
    async with closing(APART[name](addresses)) if name in APART else make() as engine:
        await engine.start()
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
                await leg.until(rounds)

        await never_stalls(work)


async def test_nothing_is_left_after_close(make: Make) -> None:
    async def use() -> None:
        async with make() as engine:
            await engine.start()
            await engine.prepare(HINTS)
            legs = [Leg(engine) for _ in range(3)]
            for leg in legs:
                leg.push(SPEECH)
                leg.finish()
            await legs[0].until(1)
            await legs[1].stream.close()
            await engine.close()  # with streams open, and finals owed
            heard = [len(leg.heard) for leg in legs]
            await asyncio.sleep(0.15)
            if engine.name != "timed":  # it has nothing to stop
                assert [len(leg.heard) for leg in legs] == heard
            for leg in legs:
                await leg.stream.close()

    await leaves_nothing(use)


async def test_an_engine_may_be_closed_twice_and_unstarted(make: Make) -> None:
    async with make() as engine:
        await engine.close()
        await engine.start()
        await engine.close()
        await engine.close()
