"""Streaming models of sherpa-onnx in this process, with models that hear tones as colours."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from app.engines.errors import EngineError, EngineUnavailable
from app.engines.ports import Expectation, RecognitionHints
from app.engines.stt.sherpa_onnx import SherpaOnnxRecogniser
from bench.caller import Caller, dropped_seconds
from config.engines import SherpaOnnxSettings
from telephony.media.frame import SAMPLE_RATE, Samples, silence
from tests.peers.sherpa_model import COLOURS, build_sherpa

SETTING = "TRUNKLINE_ENGINES__SHERPA_ONNX__MODEL"
SECONDS = 0.5  # of each tone


def said(text: str) -> Samples:
    """Tones of these colours; ``-`` is silence."""
    axis = np.arange(round(SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    tones = [
        np.sin(2 * np.pi * COLOURS[word.upper()] * axis) if word != "-" else axis * 0 for word in text.split()
    ]
    return (8000 * np.concatenate(tones)).astype(np.int16)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    build_sherpa(folder / "plain")
    build_sherpa(folder / "biased", hotwords=True)
    build_sherpa(folder / "ctc", ctc=True)
    return folder


@pytest.fixture(params=["plain", "biased"])
async def engine(request: pytest.FixtureRequest, models: Path) -> AsyncIterator[SherpaOnnxRecogniser]:
    engine = SherpaOnnxRecogniser(SherpaOnnxSettings(model=request.param), models)
    await engine.start()
    yield engine
    await engine.close()


async def test_the_final_has_words_with_times_and_confidence(engine: SherpaOnnxRecogniser) -> None:
    final = await Caller(engine).say(said("orange blue - black"))
    assert final.text == "orange blue black"  # the model writes capital letters
    assert final.confidence is not None
    assert 0.3 < final.confidence <= 1.0
    assert [word.text for word in final.words] == ["orange", "blue", "black"]
    for word, slot in zip(final.words, (0, 1, 3), strict=True):
        assert abs(word.start - slot * SECONDS * SAMPLE_RATE) <= 800
        assert word.start < word.end <= word.start + SAMPLE_RATE
        assert word.confidence is not None


async def test_interims_grow_into_the_final(engine: SherpaOnnxRecogniser) -> None:
    caller = Caller(engine)
    text = "orange yellow green blue violet"
    final = await caller.say(said(text), frame_seconds=0.005)
    assert final.text == text
    assert len(caller.interims) >= 3
    assert len(set(caller.interims)) == len(caller.interims)
    assert all(text.startswith(interim) for interim in caller.interims)


async def test_segments_do_not_mix_nor_do_calls(engine: SherpaOnnxRecogniser) -> None:
    texts = [
        " ".join(np.random.default_rng(seed).permutation(list(COLOURS))[:5]).lower() for seed in range(10)
    ]
    callers = [Caller(engine) for _ in texts]
    for turn in range(3):
        order = texts[turn:] + texts[:turn]
        finals = await asyncio.gather(
            *(caller.say(said(text), 0.001) for caller, text in zip(callers, order, strict=True))
        )
        # The faintest, red, lies at the threshold.
        assert [final.text.replace("red", "").split() for final in finals] == [
            text.replace("red", "").split() for text in order
        ]


@pytest.mark.parametrize("level", [0, 3])
async def test_silence_is_no_words(engine: SherpaOnnxRecogniser, level: int) -> None:
    noise = np.random.default_rng(7).normal(0, level, 12_000).astype(np.int16)
    caller = Caller(engine)
    assert (await caller.say(noise)).text == ""
    assert caller.interims == []


async def test_the_agents_phrases_are_preferred(models: Path) -> None:
    """A tone too faint to be heard, unless it is expected."""
    faint = (said("red") * 0.2).astype(np.int16)
    engine = SherpaOnnxRecogniser(SherpaOnnxSettings(model="biased", hotwords_score=5.0), models)
    await engine.start()
    try:
        for phrases, heard in (((), ""), (("Red", "blue"), "red"), (("blue", "no such word", "1/2", ""), "")):
            assert (await Caller(engine, RecognitionHints(phrases=phrases)).say(faint)).text == heard
    finally:
        await engine.close()


async def test_a_model_of_one_file(models: Path) -> None:
    engine = SherpaOnnxRecogniser(SherpaOnnxSettings(model="ctc"), models)
    await engine.start()
    try:
        callers = [Caller(engine) for _ in range(3)]
        finals = await asyncio.gather(*(caller.say(said("green blue violet")) for caller in callers))
        assert {final.text for final in finals} == {"green blue violet"}
    finally:
        await engine.close()


async def test_too_much_at_once_is_dropped_and_counted(engine: SherpaOnnxRecogniser) -> None:
    caller = Caller(engine)
    before = dropped_seconds(engine)
    for _ in range(65):
        caller.stream.push(silence(SAMPLE_RATE))  # before the thread has a turn
    assert dropped_seconds(engine) - before == pytest.approx(5.0)
    caller.stream.expect(Expectation("digits"))
    caller.stream.finish_segment()
    assert (await caller.next_final()).text == ""
    assert (await caller.say(said("blue"))).text == "blue"
    assert not any(final.lost for final in caller.finals)


def break_models(models: Path) -> None:
    (models / "empty").mkdir()
    (models / "tokens").mkdir()
    (models / "tokens" / "tokens.txt").write_text("a 0\n")
    for name in ("broken", "nameless", "binary"):
        shutil.copytree(models / "plain", models / name)
    encoder = (models / "plain" / "encoder-epoch-1-avg-1.onnx").read_bytes()
    (models / "broken" / "encoder-epoch-1-avg-1.onnx").write_bytes(encoder[: len(encoder) // 2])
    (models / "nameless" / "encoder-epoch-1-avg-1.onnx").write_bytes(
        encoder.replace(b"decode_chunk_len", b"x" * 16)
    )
    (models / "binary" / "tokens.txt").write_bytes(b"\xff\xfe 0\n")
    shutil.copytree(models / "ctc", models / "unknown")
    model = (models / "ctc" / "model.onnx").read_bytes()
    (models / "unknown" / "model.onnx").write_bytes(model.replace(b"cache_last_channel_dim1", b"y" * 23))
    shutil.copytree(models / "ctc", models / "text")
    (models / "text" / "model.onnx").write_bytes(b"not a model")


async def test_what_keeps_it_from_starting_is_named(models: Path) -> None:
    break_models(models)
    for name, message in (
        ("absent", rf"absent is not in .*trunkline models fetch absent.*{SETTING}"),
        ("", f"set {SETTING}"),
        ("empty", rf"has no tokens\.txt.*{SETTING}"),
        ("tokens", rf"has neither encoder.*{SETTING}"),
        ("binary", rf"tokens\.txt that is no text.*{SETTING}"),
        ("text", rf"model\.onnx that is no ONNX model.*{SETTING}"),
        ("unknown", rf"names no streaming model.*{SETTING}"),
        ("broken", rf"cannot be loaded.*{SETTING}"),
        ("nameless", rf"cannot be loaded: .*decode_chunk_len.*{SETTING}"),
    ):
        engine = SherpaOnnxRecogniser(SherpaOnnxSettings(model=name), models)
        with pytest.raises(EngineUnavailable, match=message):
            await engine.start()
        await engine.close()


async def test_a_missing_library_is_named(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sherpa_onnx", None)
    with pytest.raises(EngineUnavailable, match=r"not installed.*make engines"):
        await SherpaOnnxRecogniser(SherpaOnnxSettings(model="plain"), models).start()


async def test_an_engine_that_was_not_started_says_so(models: Path) -> None:
    with pytest.raises(EngineError, match="not started"):
        Caller(SherpaOnnxRecogniser(SherpaOnnxSettings(model="plain"), models))
