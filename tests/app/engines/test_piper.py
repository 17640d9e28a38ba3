from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from app.engines.errors import EngineError, EngineUnavailable, RequestRefused
from app.engines.fallback import roster
from app.engines.fallback.synthesiser import FallbackSynthesiser
from app.engines.ports import SpeechChunk, VoiceSpec, WordMark
from app.engines.tts import piper
from app.engines.tts.piper import PiperSynthesiser
from app.engines.tts.piper_alignment import WordPlaces, with_lengths
from config.engines import FallbackSettings, PiperSettings
from telephony.media.frame import Samples
from tests.fakes.synthesiser import FakeSynthesiser
from tests.onnx_bytes import voice_model
from tests.peers.piper_voice import write_voice

NAME = "en_US-tiny-low"
PHRASE = "Part of the parcel, and 12 of them, is out. It's “today”."


@asynccontextmanager
async def speaking(models: Path, voice: str = NAME, workers: int = 1) -> AsyncIterator[PiperSynthesiser]:
    engine = PiperSynthesiser(PiperSettings(voice=voice, workers=workers), models)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def collect(engine: PiperSynthesiser, phrase: str, voice: VoiceSpec | None = None) -> list[SpeechChunk]:
    return [chunk async for chunk in engine.speak(phrase, voice or VoiceSpec())]


async def sound(engine: PiperSynthesiser, phrase: str, voice: VoiceSpec | None = None) -> Samples:
    return np.concatenate([chunk.samples for chunk in await collect(engine, phrase, voice)])


def hertz(samples: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(spectrum.argmax() * 8000 / samples.size)


async def test_marks_stand_where_the_words_are_heard(tmp_path: Path) -> None:
    write_voice(tmp_path, NAME)
    async with speaking(tmp_path) as engine:
        chunks = await collect(engine, PHRASE)
    begin = 0
    marks: list[WordMark] = []
    for chunk in chunks:
        assert all(begin <= mark.sample < begin + chunk.samples.size for mark in chunk.words)
        begin += chunk.samples.size
        marks += chunk.words
    words = ["Part", "of", "the", "parcel,", "and", "12", "of", "them,", "is", "out.", "It's", "today"]
    assert [PHRASE[mark.char :].startswith(word) for mark, word in zip(marks, words, strict=True)]
    assert [mark.sample for mark in marks] == sorted({mark.sample for mark in marks})
    loud = np.abs(np.concatenate([chunk.samples for chunk in chunks]).astype(int)) > 1500
    for mark in marks:
        if PHRASE[mark.char : mark.char + 3] != "the":  # said as one word with the one before
            assert not loud[max(0, mark.sample - 350) : mark.sample - 30].any()  # a space and its pads
        assert loud[mark.sample : mark.sample + 600].any()


async def test_rate_and_pitch_belong_to_the_request(tmp_path: Path) -> None:
    write_voice(tmp_path, NAME)
    async with speaking(tmp_path) as engine:
        normal = await sound(engine, PHRASE)
        slow = await sound(engine, PHRASE, VoiceSpec(rate=0.5))
        high = await sound(engine, PHRASE, VoiceSpec(pitch=1.2))
        assert slow.size == pytest.approx(1.5 * normal.size, rel=0.05)  # 3 frames a phoneme for 1.5
        assert hertz(normal) == pytest.approx(440, rel=0.01)
        assert hertz(high) == pytest.approx(440 * 1.2, rel=0.01)
        assert high.size == pytest.approx(normal.size / 1.2, rel=0.05)  # 2 frames for 1.8
        assert (await sound(engine, PHRASE)).size == normal.size


async def test_voices_are_found_in_both_places_and_by_language(tmp_path: Path) -> None:
    write_voice(tmp_path, NAME)
    write_voice(tmp_path / "de_DE-klein-low", "de_DE-klein-low", language="de_DE", espeak="de", tone_hz=600)
    write_voice(tmp_path / "en_GB-odd-low", "another-name", language="en_GB")
    (tmp_path / "silero.onnx").write_bytes(b"no voice")
    (tmp_path / "smart-turn.onnx").write_bytes(b"no voice")
    (tmp_path / "smart-turn.onnx.json").write_text("{}")
    async with speaking(tmp_path) as engine:
        voices = await engine.voices()
        assert [(voice.name, voice.language) for voice in voices] == [
            (NAME, "en-US"),
            ("de_DE-klein-low", "de-DE"),
        ]
        assert hertz(await sound(engine, "Guten Tag.", VoiceSpec(language="de-AT"))) == pytest.approx(
            600, 0.02
        )
        assert hertz(await sound(engine, "Hello.", VoiceSpec(language="en-GB"))) == pytest.approx(440, 0.02)
        assert hertz(await sound(engine, "Hello.", VoiceSpec(language="fr-FR"))) == pytest.approx(440, 0.02)
        assert hertz(await sound(engine, "Tag.", VoiceSpec("de_DE-klein-low"))) == pytest.approx(600, 0.02)
        write_voice(tmp_path, "en_GB-new-low", language="en_GB", tone_hz=700)
        assert len(await engine.voices()) == 3
        assert hertz(await sound(engine, "Hello.", VoiceSpec("en_GB-new-low"))) == pytest.approx(700, 0.02)


async def test_a_voice_may_be_named_by_its_path(tmp_path: Path) -> None:
    path = write_voice(tmp_path / "elsewhere", "mine")
    for given in (str(path), str(path.parent / "mine")):
        async with speaking(tmp_path / "models", given) as engine:
            assert [voice.name for voice in await engine.voices()] == ["mine"]
            assert (await sound(engine, "Hello.")).size


async def test_more_voices_than_are_kept_speak_one_after_another(tmp_path: Path) -> None:
    for number in range(6):
        write_voice(tmp_path, f"en_US-v{number}-low", tone_hz=400 + 50 * number)
    async with speaking(tmp_path, "en_US-v0-low") as engine:
        for number in (*range(6), 0):
            heard = hertz(await sound(engine, "Hello.", VoiceSpec(f"en_US-v{number}-low")))
            assert heard == pytest.approx(400 + 50 * number, rel=0.02)


@pytest.mark.parametrize(("voice", "message"), [
    ("", "no model named; set TRUNKLINE_ENGINES__PIPER__VOICE"),
    ("en_US-none-low", "trunkline models fetch en_US-none-low.*TRUNKLINE_ENGINES__PIPER__VOICE"),
    ("/nowhere/voice.onnx", "TRUNKLINE_ENGINES__PIPER__VOICE names /nowhere"),
    ("folder", "it needs folder.onnx and folder.onnx.json; see TRUNKLINE_ENGINES__PIPER__VOICE"),
    ("alone", r"alone.onnx.json is missing"),
    ("text", "text.onnx.json is no description of a voice"),
    ("broken", "voice broken cannot be loaded .*TRUNKLINE_ENGINES__PIPER__VOICE"),
])  # fmt: skip
async def test_a_voice_that_is_not_there_is_found_at_the_start(
    tmp_path: Path, voice: str, message: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "alone.onnx").write_bytes(b"")
    write_voice(tmp_path, "text").with_name("text.onnx.json").write_text("[]")
    write_voice(tmp_path, "broken").write_bytes(b"no model")
    with pytest.raises(EngineUnavailable, match=message) as caught:
        async with speaking(tmp_path, voice):
            pass
    assert not caught.value.retryable


async def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "piper", None)
    with pytest.raises(EngineUnavailable, match="piper-tts is not installed; run 'make engines'"):
        async with speaking(tmp_path):
            pass


async def test_a_voice_that_fails_later_harms_no_other(tmp_path: Path) -> None:
    write_voice(tmp_path, NAME)
    write_voice(tmp_path, "en_US-broken-low").write_bytes(b"no model")
    write_voice(tmp_path, "xx_XX-odd-low", language="xx_XX", espeak="no-such-language")
    async with speaking(tmp_path) as engine:
        for name, message in {
            "en_US-broken-low": "en_US-broken-low cannot be loaded",
            "xx_XX-odd-low": "cannot speak this phrase",
            f"{NAME}#nobody": "cannot speak this phrase",
        }.items():
            with pytest.raises(RequestRefused, match=message):
                await sound(engine, "Hello.", VoiceSpec(name))
        assert (await sound(engine, "Hello.")).size
        assert engine.restarts == 0


async def test_a_cancelled_phrase_hardly_delays_the_next(tmp_path: Path) -> None:
    write_voice(tmp_path, NAME)
    loop = asyncio.get_running_loop()
    async with speaking(tmp_path) as engine:
        took = []
        for _ in range(5):
            speech = engine.speak("one two three " * 300, VoiceSpec())  # a single sentence
            waiting = asyncio.create_task(anext(speech))
            await asyncio.sleep(0.02)
            waiting.cancel()
            await asyncio.wait([waiting])
            began = loop.time()
            assert (await sound(engine, "Hello.")).size
            took.append(loop.time() - began)
    assert min(took) < 0.25


async def test_a_worker_that_dies_is_replaced_and_the_phrase_may_be_tried_again(tmp_path: Path) -> None:
    write_voice(tmp_path, NAME)
    async with speaking(tmp_path) as engine:
        speech = engine.speak("One more. " * 500, VoiceSpec())
        await anext(speech)
        os.kill(engine.pids[0], signal.SIGKILL)
        with pytest.raises(EngineError) as caught:
            async for _ in speech:
                pass
        assert caught.value.retryable
        assert (await sound(engine, "Hello.")).size
        assert engine.restarts == 1


async def test_a_worker_that_hangs_is_replaced_though_calls_and_trials_give_it_up_sooner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert piper._SILENT_SECONDS < roster.TRIAL_SECONDS
    monkeypatch.setattr(piper, "_SILENT_SECONDS", 1.5)
    monkeypatch.setattr(roster, "TRIAL_SECONDS", 0.5)
    write_voice(tmp_path, NAME)
    engine = PiperSynthesiser(PiperSettings(voice=NAME), tmp_path)
    settings = FallbackSettings(retry_seconds=0.1, first_least=0.05, first_most=0.2)
    voices = FallbackSynthesiser([engine, FakeSynthesiser()], settings)
    await voices.start()
    watch = asyncio.create_task(voices.watch())
    hung = engine.pids[0]
    os.kill(hung, signal.SIGSTOP)
    try:
        async with asyncio.timeout(10):
            while engine.pids in {(hung,), ()} or voices.standings[0].state != "closed":
                assert [chunk async for chunk in voices.speak("Hello there.", VoiceSpec())]
                await asyncio.sleep(0.1)
        assert engine.restarts == 1
    finally:
        if hung in engine.pids:
            os.kill(hung, signal.SIGKILL)
        watch.cancel()
        await asyncio.wait([watch])
        await voices.close()


async def test_a_worker_that_is_busy_after_a_cancelled_phrase_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piper, "_SILENT_SECONDS", 0.3)
    write_voice(tmp_path, NAME)
    async with speaking(tmp_path) as engine:
        for _ in range(3):
            speech = engine.speak("One more. " * 500, VoiceSpec())
            await anext(speech)
            await speech.aclose()
            await asyncio.sleep(0.4)
        assert engine.restarts == 0


async def test_workers_share_the_phrases(tmp_path: Path) -> None:
    write_voice(tmp_path, NAME)
    async with speaking(tmp_path, workers=2) as engine:
        assert len(set(engine.pids)) == 2
        sounds = await asyncio.gather(*(sound(engine, PHRASE) for _ in range(4)))
    assert len({samples.size for samples in sounds}) == 1


async def test_the_library_stays_out_of_this_process(tmp_path: Path) -> None:
    write_voice(tmp_path, NAME)
    async with speaking(tmp_path) as engine:
        await sound(engine, "Hello.")
    assert not any(name == "piper" or name.startswith("piper.") for name in sys.modules)


async def test_an_engine_that_is_not_started_or_closed_says_so(tmp_path: Path) -> None:
    engine = PiperSynthesiser(PiperSettings(voice=NAME), tmp_path)
    await engine.close()
    with pytest.raises(EngineError, match="not started"):
        await sound(engine, "Hello.")


def test_lengths_are_added_once_and_never_to_what_is_no_model() -> None:
    model = voice_model(256, 2.0, 440, 22_050)
    patched = with_lengths(model)
    assert patched.startswith(model)
    assert len(patched) > len(model)
    assert with_lengths(patched) == patched
    for end in range(len(model)):
        assert with_lengths(model[:end])[:end] == model[:end]
    assert with_lengths(b"\xff" * 50) == b"\xff" * 50


def test_words_that_run_together_have_their_places() -> None:
    alone = {"out": "ˈaʊt", "of": "ʌv", "the": "ðə", "—": "", "box,": "bˈɑks"}
    places = WordPlaces("out of the — box,", [list("ˌaʊɾəvðə bˈɑks,")], lambda word: list(alone[word]))
    assert list(places.of(0)) == [(0, 0), (4, 4), (7, 6), (13, 9)]
    assert list(places.of(1)) == []
