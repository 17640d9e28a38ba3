from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np
import pytest
from prometheus_client import REGISTRY

from app.engines.errors import EngineError, RequestRefused
from app.engines.fallback.synthesiser import FallbackSynthesiser
from app.engines.ports import SpeechChunk, VoiceSpec
from app.engines.tts.cached import AGAIN_SECONDS, CachedSynthesiser
from config.engines import FallbackSettings
from telephony.media.frame import Samples
from tests.fakes.clock import run_virtual
from tests.fakes.synthesiser import FakeSynthesiser

VOICE = VoiceSpec()


async def collect(engine: CachedSynthesiser, phrase: str, voice: VoiceSpec = VOICE) -> list[SpeechChunk]:
    return [chunk async for chunk in engine.speak(phrase, voice)]


def not_prepared() -> float:
    return REGISTRY.get_sample_value("trunkline_phrases_not_prepared_total") or 0.0


def audio(chunks: list[SpeechChunk]) -> Samples:
    return np.concatenate([chunk.samples for chunk in chunks])


async def test_a_prepared_phrase_is_the_same_audio_with_its_words() -> None:
    fake = FakeSynthesiser()
    made = await collect(CachedSynthesiser(fake), "Hello there.")
    cached = CachedSynthesiser(fake)
    await cached.prepare(["Hello there.", "Hello there."], VOICE)
    await cached.prepare(["Hello there."], VOICE)
    assert fake.phrases == ["Hello there."] * 2
    for _ in range(2):
        again = await collect(cached, "Hello there.")
        assert [chunk.words for chunk in again] == [chunk.words for chunk in made]
        assert np.array_equal(audio(again), audio(made))
    assert fake.phrases == ["Hello there."] * 2
    assert cached.kept_bytes == sum(chunk.samples.nbytes for chunk in made)


async def test_another_phrase_or_voice_is_made_anew() -> None:
    fake = FakeSynthesiser()
    cached = CachedSynthesiser(fake)
    await cached.prepare(["Hello."], VOICE)
    slow = VoiceSpec(rate=0.5)
    await collect(cached, "Goodbye.")
    await collect(cached, "Hello.", slow)
    assert fake.phrases == ["Hello.", "Goodbye.", "Hello."]
    assert fake.asked[-1] == slow


async def test_what_was_not_used_for_longest_is_dropped() -> None:
    fake = FakeSynthesiser()
    one = 2 * 8000 // 20  # bytes of a character
    cached = CachedSynthesiser(fake, most_bytes=10 * one)
    await cached.prepare(["aaaa", "bbbb"], VOICE)
    await collect(cached, "aaaa")
    await cached.prepare(["cccc", "too long to be kept"], VOICE)
    assert cached.kept_bytes == 8 * one
    fake.phrases.clear()
    for phrase in ("aaaa", "bbbb", "cccc"):
        await collect(cached, phrase)
    assert fake.phrases == ["bbbb"]


async def test_a_phrase_that_fails_costs_no_other() -> None:
    fake = FakeSynthesiser(fail_after=1)
    cached = CachedSynthesiser(fake)
    before = not_prepared()
    await cached.prepare(["It has two pieces.", "a", "It has many pieces, too.", "b"], VOICE)
    assert not_prepared() - before == 2
    fake.phrases.clear()
    await collect(cached, "a")
    await collect(cached, "b")
    assert fake.phrases == []


async def test_nothing_is_kept_after_close() -> None:
    cached = CachedSynthesiser(FakeSynthesiser())
    await cached.prepare(["a"], VOICE)
    await cached.close()
    assert cached.kept_bytes == 0


class Voice(FakeSynthesiser):
    """Sounds like ``level``; fails each phrase with ``problem`` after so many pieces."""

    def __init__(self, name: str, level: int) -> None:
        super().__init__(0.001)
        self.name, self.level = name, level
        self.problem: EngineError | None = None
        self.after = 0

    async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        made = 0
        async with aclosing(super().speak(phrase, voice)) as pieces:
            async for piece in pieces:
                if self.problem is not None and made == self.after:
                    raise self.problem
                yield SpeechChunk(np.full_like(piece.samples, self.level), piece.words)
                made += 1


PHRASES = ("Hello, this is Meadow Parcel.", "One moment.", "I am sorry.", "Goodbye.", "Are you there?")


class House:
    """A process with two voices, and what it keeps of them."""

    def __init__(self) -> None:
        self.first, self.second = Voice("first", 1), Voice("second", 2)
        self.voices = FallbackSynthesiser([self.first, self.second], FallbackSettings())
        self.cached = CachedSynthesiser(self.voices)

    async def prepare(self) -> None:
        await self.cached.prepare(PHRASES, VOICE, self.voices.whole)

    async def levels(self, phrase: str) -> set[int]:
        """What a new call hears of a phrase."""
        call = self.cached.speaking_with(self.voices.for_call(lambda *_: None))
        return {int(chunk.samples[0]) for chunk in [piece async for piece in call.speak(phrase, VOICE)]}


@pytest.mark.parametrize("after", [0, 3])
def test_what_is_kept_is_the_first_voice_alone_though_it_was_away(after: int) -> None:
    async def work() -> None:
        house, before = House(), not_prepared()
        house.first.problem, house.first.after = EngineError("first", "no network"), after
        await house.cached.start()
        await house.prepare()
        assert not_prepared() - before == len(PHRASES)
        assert house.cached.kept_bytes == 0
        async with asyncio.TaskGroup() as tasks:
            watches = [tasks.create_task(one.watch()) for one in (house.voices, house.cached)]
            await asyncio.sleep(10 * AGAIN_SECONDS)
            assert house.cached.kept_bytes == 0
            assert 2 in await house.levels(PHRASES[0])
            house.first.problem = None
            await asyncio.sleep(3 * AGAIN_SECONDS)
            house.first.phrases.clear()
            house.second.phrases.clear()
            assert [await house.levels(phrase) for phrase in PHRASES] == [{1}] * len(PHRASES)
            assert not house.first.phrases
            assert not house.second.phrases
            assert not_prepared() - before == len(PHRASES)
            for watch in watches:
                watch.cancel()

    run_virtual(work())


def test_a_phrase_that_a_voice_cannot_make_does_not_cost_calls_the_voice() -> None:
    class Particular(Voice):
        async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
            if self.problem is not None and phrase not in PHRASES[:2]:
                raise self.problem
            async with aclosing(super().speak(phrase, voice)) as pieces:
                async for piece in pieces:
                    yield piece

    async def work() -> None:
        voice = Particular("first", 1)
        voice.after = -1
        voices = FallbackSynthesiser([voice], FallbackSettings())
        cached = CachedSynthesiser(voices)
        await cached.prepare(PHRASES[:2], VOICE, voices.whole)
        voice.problem = EngineError("first", "no audio")
        await cached.prepare(PHRASES[2:4], VOICE, voices.whole)
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(cached.watch())
            await asyncio.sleep(10 * AGAIN_SECONDS)
            assert voices.standings[0].state == "closed"
            voice.problem = None
            await asyncio.sleep(2 * AGAIN_SECONDS)
            watch.cancel()
        assert sorted(voice.phrases) == sorted(PHRASES[:4])

    run_virtual(work())


def test_what_the_first_voice_refuses_is_kept_as_calls_hear_it() -> None:
    async def work() -> None:
        house = House()
        house.first.problem = RequestRefused("first", "there is no voice 'nobody'")
        await house.prepare()
        house.second.phrases.clear()
        assert await house.levels(PHRASES[0]) == {2}
        assert not house.second.phrases
        assert house.voices.standings[0].state == "closed"

    run_virtual(work())


def test_what_no_voice_will_ever_make_is_not_tried_again() -> None:
    async def work() -> None:
        house = House()
        house.first.problem = house.second.problem = RequestRefused("first", "no such language")
        await house.prepare()
        house.first.phrases.clear()
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(house.cached.watch())
            await asyncio.sleep(10 * AGAIN_SECONDS)
            watch.cancel()
        assert not house.first.phrases

    run_virtual(work())


async def test_preparing_twice_at_once_makes_each_phrase_once() -> None:
    fake = FakeSynthesiser(0.001)
    cached = CachedSynthesiser(fake)
    await asyncio.gather(*(cached.prepare(PHRASES, VOICE) for _ in range(2)))
    assert len(fake.phrases) <= len(PHRASES) + 4
    fake.phrases.clear()
    for phrase in PHRASES:
        await collect(cached, phrase)
    assert not fake.phrases
