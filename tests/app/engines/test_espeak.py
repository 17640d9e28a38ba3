from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

import numpy as np
import pytest

from app.engines.errors import EngineError
from app.engines.ports import SpeechChunk, VoiceSpec
from app.engines.tts.espeak import EspeakSynthesiser
from telephony.media.frame import Samples


@pytest.fixture
async def engine() -> AsyncIterator[EspeakSynthesiser]:
    engine = EspeakSynthesiser()
    await engine.start()
    yield engine
    await engine.close()


async def sound(engine: EspeakSynthesiser, phrase: str, voice: VoiceSpec | None = None) -> Samples:
    chunks = [chunk.samples async for chunk in engine.speak(phrase, voice or VoiceSpec())]
    return np.concatenate(chunks)


def level_db(samples: Samples) -> float:
    """Mean level of the frames that hold speech, in dB of full scale."""
    frames = samples[: samples.size // 160 * 160].reshape(-1, 160).astype(float)
    power = (frames**2).mean(axis=1)
    return float(10 * np.log10(power[power > power.max() / 100].mean() / 32768**2))


@pytest.mark.parametrize("name", ["en-us", "en-gb", "de", "es", "fr-fr", "en-us+f3"])
async def test_speech_is_at_telephone_level_and_not_clipped(engine: EspeakSynthesiser, name: str) -> None:
    samples = await sound(engine, "Hello there, your parcel is out for delivery.", VoiceSpec(name))
    assert -23 < level_db(samples) < -18
    assert np.abs(samples.astype(int)).max() < 32_000


async def test_rate_and_pitch_belong_to_the_request(engine: EspeakSynthesiser) -> None:
    phrase = "Where is my parcel today, and when will it arrive"
    normal = await sound(engine, phrase)
    fast = await sound(engine, phrase, VoiceSpec(rate=2.0))
    high = await sound(engine, phrase, VoiceSpec(pitch=2.0))
    assert fast.size < 0.65 * normal.size
    assert high.size == pytest.approx(normal.size, rel=0.1)
    assert (await sound(engine, phrase)).size == pytest.approx(normal.size, rel=0.02)


async def test_a_sentence_ends_with_a_pause_and_begins_without(engine: EspeakSynthesiser) -> None:
    samples = await sound(engine, "Hello there.")
    loud = np.nonzero(np.abs(samples) > 100)[0]
    assert loud[0] < 400
    assert 1500 < samples.size - loud[-1] < 2000


async def test_voices_are_listed_and_languages_find_theirs(engine: EspeakSynthesiser) -> None:
    voices = {voice.name: voice for voice in await engine.voices()}
    assert {"en-us", "en-gb", "de", "es"} <= voices.keys()
    assert (voices["de"].language, voices["de"].gender) == ("de", "male")
    assert (voices["de+f3"].language, voices["de+f3"].gender) == ("de", "female")
    assert (await sound(engine, "Taxi", VoiceSpec("de+f3"))).size > 1000
    for language, name in {"en-US": "en-us", "en-GB": "en-gb", "es-ES": "es", "de-AT": "de"}.items():
        assert engine.voice_for(VoiceSpec(language=language)) == name
        assert (await sound(engine, "Taxi", VoiceSpec(language=language))).size > 1000


async def test_marks_count_characters_not_bytes(engine: EspeakSynthesiser) -> None:
    phrase = "Café — it’s “open” now"
    marks = [mark.char async for chunk in engine.speak(phrase, VoiceSpec()) for mark in chunk.words]
    assert [phrase[char] for char in marks] == ["C", "i", "o", "n"]


async def test_a_worker_that_dies_is_replaced_and_the_phrase_may_be_tried_again(
    engine: EspeakSynthesiser,
) -> None:
    speech = engine.speak("A long phrase that goes on and on. " * 200, VoiceSpec())
    first = await anext(speech)
    assert isinstance(first, SpeechChunk)
    os.kill(engine.pids[0], signal.SIGKILL)
    with pytest.raises(EngineError) as caught:
        async for _ in speech:
            pass
    assert caught.value.retryable
    assert (await sound(engine, "Hello.")).size
    assert engine.restarts == 1


async def test_an_engine_that_is_not_started_says_so() -> None:
    with pytest.raises(EngineError, match="not running"):
        await sound(EspeakSynthesiser(), "Hello.")
