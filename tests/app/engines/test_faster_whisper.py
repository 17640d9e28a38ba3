"""Whisper in this process, with a model that hears tones as colours."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from app.engines.errors import EngineError, EngineUnavailable, RequestRefused
from app.engines.ports import UNCLEAR, RecognitionHints
from app.engines.stt.faster_whisper import FasterWhisperRecogniser
from bench.caller import Caller, dropped_seconds
from config.engines import FasterWhisperSettings
from telephony.media.frame import SAMPLE_RATE, Samples, silence
from tests.contracts.probe import TRIES, never_stalls
from tests.peers.whisper_model import COLOURS, SLOT_SECONDS, build_whisper

SLOT = round(SLOT_SECONDS * SAMPLE_RATE)
MODEL = "TRUNKLINE_ENGINES__FASTER_WHISPER__MODEL"


def said(text: str, seconds: float = SLOT_SECONDS) -> Samples:
    """Tones of these colours; ``-`` is silence."""
    pieces = []
    for word in text.split():
        time_axis = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        level = 0.0 if word == "-" else 8000.0
        pieces.append(level * np.sin(2 * np.pi * COLOURS.get(word, 0) * time_axis))
    return np.concatenate(pieces).astype(np.int16)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    build_whisper(folder / "tiny")
    build_whisper(folder / "many", multilingual=True)
    return folder


@pytest.fixture
async def engine(models: Path) -> AsyncIterator[FasterWhisperRecogniser]:
    engine = FasterWhisperRecogniser(FasterWhisperSettings(model="tiny"), models)
    await engine.start()
    yield engine
    await engine.close()


async def test_the_final_has_words_with_times_and_confidence(engine: FasterWhisperRecogniser) -> None:
    final = await Caller(engine).say(said("orange blue - black"))
    assert final.text == "orange blue black"
    assert final.confidence is not None
    assert 0.5 < final.confidence <= 1.0
    assert [word.text for word in final.words] == ["orange", "blue", "black"]
    for word, slot in zip(final.words, (0, 1, 3), strict=True):
        assert abs(word.start - slot * SLOT) <= 400
        assert abs(word.end - (slot + 1) * SLOT) <= 400
        assert word.confidence is not None
        assert 0.5 < word.confidence <= 1.0


async def test_interims_grow_into_the_final(engine: FasterWhisperRecogniser) -> None:
    text = "red green blue white black orange yellow violet red blue"
    caller = Caller(engine)
    final = await caller.say(said(text), frame_seconds=0.015)
    assert final.text == text
    assert len(caller.interims) >= 5
    words = text.split()
    for interim in caller.interims:  # a window may cut a tone in two, or end within one
        heard = interim.split()
        assert heard[:-3] == words[: len(heard[:-3])]
    assert len(caller.interims[-1].split()) >= len(words) - 2


async def test_longer_speech_than_whisper_hears_at_once(engine: FasterWhisperRecogniser) -> None:
    """It is cut in the first pause after 20 s; the model's half seconds begin anew there."""
    blocks = np.random.default_rng(4).choice(list(COLOURS), (3, 20))
    block_samples = 20 * SAMPLE_RATE + 400
    caller = Caller(engine)
    before = dropped_seconds(engine)
    lines = [np.concatenate((said("- " + " - ".join(block)), silence(400))) for block in blocks]
    final = await caller.say(np.concatenate(lines))
    assert final.text == " ".join(blocks.reshape(-1))
    for index, word in enumerate(final.words):
        begins = index // 20 * block_samples + (2 * (index % 20) + 1) * SLOT
        assert abs(word.start - begins) <= SLOT + 400  # a word that follows a silent one begins with it
    assert dropped_seconds(engine) == before


async def test_an_endless_segment_is_bounded(engine: FasterWhisperRecogniser) -> None:
    caller = Caller(engine)
    tone = said("red", 10.0)
    before = dropped_seconds(engine)
    for _ in range(30):
        caller.stream.push(tone)  # at once, so that nothing of it is decoded meanwhile
    assert dropped_seconds(engine) - before == pytest.approx(180.0)
    caller.stream.finish_segment()
    assert (await caller.next_final()).final


async def test_what_whisper_repeats_is_not_believed(engine: FasterWhisperRecogniser) -> None:
    caller = Caller(engine)
    final = await caller.say(said("red", 25.0))
    assert final.text == UNCLEAR
    assert final.words == ()


@pytest.mark.parametrize("level", [0, 3, 100])
async def test_line_noise_is_no_words(engine: FasterWhisperRecogniser, level: int) -> None:
    noise = np.random.default_rng(7).normal(0, level, 12_000).astype(np.int16)
    caller = Caller(engine)
    final = await caller.say(noise)
    assert (final.text, final.lost, caller.interims) == ("", False, [])


async def test_phrases_change_no_length_of_the_answer(engine: FasterWhisperRecogniser) -> None:
    hints = RecognitionHints(phrases=("where is my parcel", "goodbye") * 30)
    assert (await Caller(engine, hints).say(said("red blue"))).text == "red blue"


async def test_a_model_of_many_languages_tells_which_it_heard(models: Path) -> None:
    engine = FasterWhisperRecogniser(FasterWhisperSettings(model="many"), models)
    await engine.start()
    try:
        for asked, heard in (("en-US", "de"), ("de-AT", "de-AT")):
            hints = RecognitionHints(language=asked)
            await engine.prepare(hints)
            final = await Caller(engine, hints).say(said("red blue"))
            assert (final.text, final.language) == ("red blue", heard)
        with pytest.raises(RequestRefused, match=f"not 'tlh'.*{MODEL}"):
            await engine.prepare(RecognitionHints(language="tlh"))
    finally:
        await engine.close()


async def test_an_english_model_refuses_other_languages(engine: FasterWhisperRecogniser) -> None:
    with pytest.raises(RequestRefused, match=f"understands only English, not 'de-DE'.*{MODEL}"):
        await engine.prepare(RecognitionHints(language="de-DE"))
    with pytest.raises(RequestRefused):
        engine.open(RecognitionHints(language="de-DE"), lambda transcript: None)


async def test_ten_calls_at_once_in_real_time(engine: FasterWhisperRecogniser) -> None:
    """None waits for an interim for more than 0.4 s beyond the colour, 0.5 s, that it has to bring."""
    orders = [list(np.random.default_rng(seed).permutation(list(COLOURS))) for seed in range(10)]
    waits: list[float] = []

    async def work() -> None:
        waits.clear()
        callers = [Caller(engine) for _ in orders]
        frames = round(len(COLOURS) * SLOT / 160)
        lines = [said(" ".join(order)) for order in orders]
        began = time.monotonic()
        for frame in range(frames):
            for caller, line in zip(callers, lines, strict=True):
                caller.stream.push(line[frame * 160 : (frame + 1) * 160])
            await asyncio.sleep(max(0.0, began + (frame + 1) * 0.02 - time.monotonic()))
        for caller in callers:
            caller.stream.finish_segment()
        for caller, order in zip(callers, orders, strict=True):
            assert (await caller.next_final()).text == " ".join(order)
            # an interim that says the same again is not reported: a colour lasts 0.5 s
            waits.append(max(np.diff(caller.heard_at)) - SLOT_SECONDS)
            await caller.stream.close()

    for _ in range(TRIES):
        await never_stalls(work)
        if max(waits) <= 0.4:
            break
    assert max(waits) <= 0.4


async def test_the_adapter_adds_little_to_the_library(models: Path, engine: FasterWhisperRecogniser) -> None:
    import faster_whisper

    from app.engines.stt.whisper_model import _audio

    line = said("orange blue black red")
    bare = faster_whisper.WhisperModel(
        str(models / "tiny"), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
    )
    audio = _audio(line)
    caller = Caller(engine)
    library, adapter = [], []
    for _ in range(15):
        before = time.perf_counter()
        segments, _ = bare.transcribe(
            audio, beam_size=1, without_timestamps=True, word_timestamps=True, language="en",
            condition_on_previous_text=False, temperature=0.0,
        )  # fmt: skip
        assert "".join(segment.text for segment in segments).strip() == "orange blue black red"
        library.append(time.perf_counter() - before)
        caller.stream.push(line)
        before = time.perf_counter()
        caller.stream.finish_segment()
        await caller.next_final()
        adapter.append(time.perf_counter() - before)
    assert min(adapter) - min(library) <= 0.015


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            FasterWhisperSettings(model="absent"),
            rf"absent is not in .*trunkline models fetch absent.*{MODEL}",
        ),
        (FasterWhisperSettings(model="/nowhere/at/all"), f"{MODEL} names /nowhere/at/all"),
        (FasterWhisperSettings(model=""), f"set {MODEL}"),
        (FasterWhisperSettings(model="empty"), rf"has no model\.bin; set {MODEL}"),
        (FasterWhisperSettings(model="broken"), f"cannot be used on cpu as int8.*{MODEL}"),
        (FasterWhisperSettings(model="cut"), f"cannot be used on cpu as int8.*{MODEL}"),
        (FasterWhisperSettings(model="tiny", compute_type="int3"), "cannot compute int3.*__COMPUTE_TYPE"),
    ],
)
async def test_what_keeps_it_from_starting_is_named(
    models: Path, settings: FasterWhisperSettings, message: str
) -> None:
    (models / "empty").mkdir(exist_ok=True)
    for name, length in (("broken", 0), ("cut", 300_000)):
        shutil.copytree(models / "tiny", models / name, dirs_exist_ok=True)
        model = (models / "tiny" / "model.bin").read_bytes()
        (models / name / "model.bin").write_bytes(model[:length] + b"x" * (100 - bool(length) * 100))
    engine = FasterWhisperRecogniser(settings, models)
    with pytest.raises(EngineUnavailable, match=message) as raised:
        await engine.start()
    assert not raised.value.retryable
    await engine.close()


async def test_cuda_without_a_device_is_named(models: Path) -> None:
    import ctranslate2

    if ctranslate2.get_cuda_device_count():
        pytest.skip("this machine has a CUDA device")
    engine = FasterWhisperRecogniser(FasterWhisperSettings(model="tiny", device="cuda"), models)
    with pytest.raises(EngineUnavailable, match=r"__DEVICE is cuda, and"):
        await engine.start()


async def test_a_missing_library_is_named(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    engine = FasterWhisperRecogniser(FasterWhisperSettings(model="tiny"), models)
    with pytest.raises(EngineUnavailable, match=r"not installed.*make engines"):
        await engine.start()


async def test_an_engine_that_was_not_started_says_so(models: Path) -> None:
    engine = FasterWhisperRecogniser(FasterWhisperSettings(model="tiny"), models)
    with pytest.raises(EngineError, match="not started"):
        engine.open(RecognitionHints(), lambda transcript: None)


async def test_silence_between_words_and_none_at_all(engine: FasterWhisperRecogniser) -> None:
    caller = Caller(engine)
    assert (await caller.say(silence(0))).text == ""
    assert (await caller.say(said("red - blue"))).text == "red blue"
