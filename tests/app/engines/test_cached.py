from __future__ import annotations

import numpy as np
from prometheus_client import REGISTRY

from app.engines.ports import SpeechChunk, VoiceSpec
from app.engines.tts.cached import CachedSynthesiser
from telephony.media.frame import Samples
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
