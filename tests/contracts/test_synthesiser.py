from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from app.engines.errors import RequestRefused
from app.engines.fallback.synthesiser import FallbackSynthesiser
from app.engines.ports import SpeechChunk, Synthesiser, VoiceSpec
from app.engines.tts.cached import CachedSynthesiser
from app.engines.tts.edge import EdgeSynthesiser
from app.engines.tts.espeak import EspeakSynthesiser
from app.engines.tts.openai_compatible import OpenAICompatibleSynthesiser
from app.engines.tts.piper import PiperSynthesiser
from app.engines.tts.timed import TimedSynthesiser
from app.engines.tts.wyoming import WyomingSynthesiser
from config.engines import (
    EdgeSettings,
    EngineSettings,
    FallbackSettings,
    OpenAITextToSpeechSettings,
    PiperSettings,
    TimedSettings,
    WyomingSettings,
)
from tests.contracts.probe import leaves_nothing, never_stalls, started
from tests.fakes.synthesiser import FakeSynthesiser
from tests.peers.apart import Addresses
from tests.peers.edge_server import EdgeServer
from tests.peers.openai_audio import OpenAIAudioServer
from tests.peers.openai_audio import hum as openai_hum
from tests.peers.piper_voice import write_voice
from tests.peers.wyoming_server import WyomingServer
from tests.peers.wyoming_server import hum as wyoming_hum

PHRASE = "Your parcel number 1 2 3 4 5 is out for delivery, and it will be with you today."
VOICE = VoiceSpec()


class Prepared(CachedSynthesiser):
    """Knows some of the phrases beforehand."""

    async def start(self) -> None:
        await super().start()
        await self.prepare([PHRASE, "Hello there."], VOICE)


Make = Callable[[], AbstractAsyncContextManager[Synthesiser]]


@asynccontextmanager
async def edge() -> AsyncIterator[Synthesiser]:
    async with (
        EdgeServer(audio_every=0.005).running() as server,
        started(EdgeSynthesiser(EdgeSettings(url=server.url))) as engine,
    ):
        yield engine


@asynccontextmanager
async def openai() -> AsyncIterator[Synthesiser]:
    async with OpenAIAudioServer(openai_hum).running() as server:
        settings = EngineSettings(openai_tts=OpenAITextToSpeechSettings(base_url=server.url))
        async with started(OpenAICompatibleSynthesiser(settings)) as engine:
            yield engine


@asynccontextmanager
async def wyoming() -> AsyncIterator[Synthesiser]:
    async with (
        WyomingServer(speech=wyoming_hum).running() as server,
        started(WyomingSynthesiser(WyomingSettings(tts_url=server.url))) as engine,
    ):
        yield engine


@asynccontextmanager
async def piper() -> AsyncIterator[Synthesiser]:
    with TemporaryDirectory() as folder:
        write_voice(Path(folder), "en_US-tiny-low")
        settings = PiperSettings(voice="en_US-tiny-low")
        async with started(PiperSynthesiser(settings, Path(folder))) as engine:
            yield engine


ENGINES: dict[str, Make] = {
    "cached": lambda: started(Prepared(FakeSynthesiser())),
    "cached_espeak": lambda: started(Prepared(EspeakSynthesiser())),
    "edge": edge,
    "espeak": lambda: started(EspeakSynthesiser()),
    "openai_compatible": openai,
    "fallback": lambda: started(
        FallbackSynthesiser(
            [FakeSynthesiser(fail_after=0), TimedSynthesiser(TimedSettings())], FallbackSettings()
        )
    ),
    "piper": piper,
    "timed": lambda: started(TimedSynthesiser(TimedSettings())),
    "wyoming": wyoming,
    "fake": lambda: started(FakeSynthesiser()),
}
APART: dict[str, Callable[[Addresses], Synthesiser]] = {
    "edge": lambda at: EdgeSynthesiser(EdgeSettings(url=at.edge)),
    "openai_compatible": lambda at: OpenAICompatibleSynthesiser(
        EngineSettings(openai_tts=OpenAITextToSpeechSettings(base_url=at.audio))
    ),
    "wyoming": lambda at: WyomingSynthesiser(WyomingSettings(tts_url=at.wyoming)),
}
"""Engines of servers, which must not be in the loop that is measured."""
WITHOUT_MARKS: frozenset[str] = frozenset({"openai_compatible", "wyoming"})
"""Engines that do not say where words begin."""
UNSTARTED: dict[str, Callable[[], Synthesiser]] = {
    "cached": lambda: Prepared(FakeSynthesiser()),
    "espeak": EspeakSynthesiser,
    "timed": lambda: TimedSynthesiser(TimedSettings()),
    "fake": FakeSynthesiser,
}
"""Engines whose ``start`` needs no server."""
UNKNOWN_VOICE = {
    "cached_espeak": "nobody",
    "edge": "en-US-NobodyNeural",
    "espeak": "nobody",
    "openai_compatible": "nobody",
    "piper": "nobody",
    "wyoming": "nobody",
}
"""For the engines that have voices of names."""
SAME = 0.02  # espeak's durations vary by 0.2 % from one time to the next


@pytest.fixture(params=ENGINES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(name: str) -> Make:
    return ENGINES[name]


@pytest.fixture
async def engine(make: Make) -> AsyncIterator[Synthesiser]:
    async with make() as engine:
        yield engine


async def collect(engine: Synthesiser, phrase: str, voice: VoiceSpec = VOICE) -> list[SpeechChunk]:
    return [chunk async for chunk in engine.speak(phrase, voice)]


def samples_of(chunks: list[SpeechChunk]) -> int:
    return sum(chunk.samples.size for chunk in chunks)


async def test_speech_is_mono_pcm16_with_marks_where_words_begin(engine: Synthesiser, name: str) -> None:
    chunks = await collect(engine, PHRASE)
    begin, last = 0, -1
    for chunk in chunks:
        assert chunk.samples.dtype == np.int16
        assert chunk.samples.ndim == 1
        assert chunk.samples.size
        end = begin + chunk.samples.size
        for mark in chunk.words:
            assert begin <= mark.sample < end
            assert mark.char > last
            assert mark.char == 0 or PHRASE[mark.char - 1] == " "
            last = mark.char
        begin = end
    marks = sum(len(chunk.words) for chunk in chunks)
    assert marks == (0 if name in WITHOUT_MARKS else len(PHRASE.split()))
    assert 2.0 < begin / 8000 < 8.0
    assert np.abs(np.concatenate([chunk.samples for chunk in chunks])).max() > 500


@pytest.mark.parametrize("phrase", ["", " ", "\n"])
async def test_a_phrase_without_words_has_no_audio(engine: Synthesiser, phrase: str) -> None:
    chunks = await collect(engine, phrase)
    assert samples_of(chunks) < 1000


@pytest.mark.parametrize("phrase", [
    "...", "?", "-", "a", "€ 5,00 — “café”…", "😀", "<speak>no</speak>", "[[h@'loU]]", "zero\0byte", "\ud800",
    "x" * 3000, "Müller, 北京, привет.",
])  # fmt: skip
async def test_any_text_is_taken_and_the_next_phrase_is_spoken(engine: Synthesiser, phrase: str) -> None:
    task = asyncio.create_task(_first(engine, phrase))
    async with asyncio.timeout(5):
        await task
    assert await _first(engine, "Hello there.")


async def _first(engine: Synthesiser, phrase: str) -> SpeechChunk | None:
    speech = engine.speak(phrase, VOICE)
    try:
        return await anext(speech, None)
    finally:
        await speech.aclose()


async def test_speech_stops_at_once_and_the_next_phrase_is_unharmed(engine: Synthesiser) -> None:
    whole = samples_of(await collect(engine, "Hello there."))
    for _ in range(20):
        began = time.perf_counter()
        speech = engine.speak(PHRASE * 20, VOICE)
        await anext(speech)
        closing = time.perf_counter()
        await speech.aclose()
        assert time.perf_counter() - closing < 0.05
        assert time.perf_counter() - began < 1.0
    assert samples_of(await collect(engine, "Hello there.")) == pytest.approx(whole, rel=SAME)


async def test_speech_may_be_cancelled_at_any_time(engine: Synthesiser) -> None:
    for after in (0.0, 0.0005, 0.002, 0.1):
        task = asyncio.create_task(collect(engine, PHRASE * 5))
        await asyncio.sleep(after)
        task.cancel()
        async with asyncio.timeout(0.5):
            await asyncio.wait([task])
    assert await collect(engine, PHRASE)


async def test_speech_that_nobody_reads_is_nothing(engine: Synthesiser) -> None:
    await engine.speak(PHRASE, VOICE).aclose()
    assert await collect(engine, "Hello.")


async def test_twenty_phrases_at_once(engine: Synthesiser) -> None:
    alone = samples_of(await collect(engine, PHRASE))
    together = await asyncio.gather(*(collect(engine, PHRASE) for _ in range(20)))
    assert [samples_of(chunks) for chunks in together] == pytest.approx([alone] * 20, rel=SAME)


async def test_the_event_loop_goes_on(name: str, make: Make, addresses: Addresses) -> None:
    async with started(APART[name](addresses)) if name in APART else make() as engine:

        async def work() -> None:
            await asyncio.gather(*(collect(engine, PHRASE) for _ in range(5)))

        await never_stalls(work)


async def test_voices_have_names_and_languages_and_speak(engine: Synthesiser) -> None:
    voices = await engine.voices()
    assert len({voice.name for voice in voices}) == len(voices) > 0
    for voice in voices:
        assert voice.name
        assert re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]+)*", voice.language)
    for voice in (voices[0], voices[-1]):
        assert samples_of(await collect(engine, "Taxi 1 2 3", VoiceSpec(voice.name, voice.language)))


@pytest.mark.parametrize("name", UNKNOWN_VOICE)
async def test_an_unknown_voice_is_the_fault_of_the_request(engine: Synthesiser, name: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        await collect(engine, PHRASE, VoiceSpec(UNKNOWN_VOICE[name]))
    assert not caught.value.retryable
    assert UNKNOWN_VOICE[name] in str(caught.value)
    assert samples_of(await collect(engine, PHRASE))


async def test_nothing_is_left_after_close(make: Make) -> None:
    async def use() -> None:
        async with make() as engine:
            await collect(engine, "Hello.")
            speech = engine.speak(PHRASE, VOICE)
            await anext(speech)
            await speech.aclose()

    await leaves_nothing(use)


@pytest.mark.parametrize("unstarted", UNSTARTED.values(), ids=UNSTARTED)
async def test_an_engine_may_be_closed_twice_and_unstarted(unstarted: Callable[[], Synthesiser]) -> None:
    engine = unstarted()
    await engine.close()
    await engine.start()
    await engine.close()
    await engine.close()
