"""Kaldi models in this process, with one that hears tones as colours."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from app.engines.errors import EngineError, EngineUnavailable
from app.engines.ports import UNCLEAR, Expectation, RecognitionHints
from app.engines.stt.vosk import VoskRecogniser
from bench.caller import Caller, dropped_seconds
from config.engines import VoskSettings
from telephony.media.frame import SAMPLE_RATE, Samples, silence
from tests.peers.vosk_model import COLOURS, NUMBERS, build_vosk

HINTS = RecognitionHints(phrases=("orange", "no such word"))
SETTING = "TRUNKLINE_ENGINES__VOSK__MODEL"
SLOT = SAMPLE_RATE // 2  # samples of each tone


def said(text: str, hertz: Mapping[str, int] = COLOURS) -> Samples:
    """Tones of these words; ``-`` is silence."""
    axis = np.arange(SLOT) / SAMPLE_RATE
    tones = [np.sin(2 * np.pi * hertz[word] * axis) if word != "-" else axis * 0 for word in text.split()]
    return (8000 * np.concatenate(tones)).astype(np.int16)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    build_vosk(folder / "tiny")
    build_vosk(folder / "colours", dynamic=True)
    build_vosk(folder / "numbers", NUMBERS, dynamic=True)
    return folder


@pytest.fixture(params=[1, 3])
async def engine(request: pytest.FixtureRequest, models: Path) -> AsyncIterator[VoskRecogniser]:
    engine = VoskRecogniser(VoskSettings(model="tiny", workers=request.param), models)
    await engine.start()
    yield engine
    await engine.close()


async def test_the_final_has_words_with_times_and_confidence(engine: VoskRecogniser) -> None:
    final = await Caller(engine, HINTS).say(said("orange blue - black"))
    assert final.text == "orange blue black"
    assert final.confidence is not None
    assert 0.5 < final.confidence <= 1.0
    assert [word.text for word in final.words] == ["orange", "blue", "black"]
    for word, slot in zip(final.words, (0, 1, 3), strict=True):
        assert abs(word.start - slot * SLOT) <= 800
        assert abs(word.end - (slot + 1) * SLOT) <= 800
        assert word.confidence is not None


async def test_interims_grow_into_the_final(engine: VoskRecogniser) -> None:
    caller = Caller(engine, HINTS)
    text = "orange yellow green blue violet"
    final = await caller.say(said(text), frame_seconds=0.005)
    assert final.text == text
    assert len(caller.interims) >= 2
    assert all(text.startswith(interim) for interim in caller.interims)


async def test_what_comes_after_a_long_pause_belongs_to_the_segment(engine: VoskRecogniser) -> None:
    """Kaldi settles what came before; the segment is one all the same, and its times go on."""
    final = await Caller(engine, HINTS).say(said("orange blue" + " -" * 16 + " black"))
    assert final.text == "orange blue black"
    assert abs(final.words[2].start - 18 * SLOT) <= 1600


async def test_segments_do_not_mix_nor_do_calls(engine: VoskRecogniser) -> None:
    texts = [" ".join(np.random.default_rng(seed).permutation(list(COLOURS))[:5]) for seed in range(10)]
    callers = [Caller(engine, HINTS) for _ in texts]
    for turn in range(3):
        order = texts[turn:] + texts[:turn]
        pairs = zip(callers, order, strict=True)
        finals = await asyncio.gather(*(caller.say(said(text), 0.001) for caller, text in pairs))
        assert [final.text for final in finals] == order


@pytest.mark.parametrize("level", [0, 3])
async def test_silence_is_no_words(engine: VoskRecogniser, level: int) -> None:
    noise = np.random.default_rng(7).normal(0, level, 12_000).astype(np.int16)
    caller = Caller(engine, HINTS)
    assert (await caller.say(noise)).text == ""
    assert caller.interims == []


@asynccontextmanager
async def started(models: Path, model: str) -> AsyncIterator[VoskRecogniser]:
    engine = VoskRecogniser(VoskSettings(model=model), models)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def test_while_digits_are_expected_nothing_is_heard_but_digits_and_phrases(models: Path) -> None:
    async with started(models, "numbers") as engine:
        caller = Caller(engine, HINTS)
        caller.stream.expect(Expectation("digits", 5))
        final = await caller.say(said("one double - two green oh orange", NUMBERS))
        assert final.text == "one double two oh orange"
        assert [word.text for word in final.words] == final.text.split()
        assert (await caller.say(said("one [unk] two", NUMBERS))).text == "one two"
        final = await caller.say(said("- [unk] -", NUMBERS))
        assert (final.text, final.words) == (UNCLEAR, ())
        assert (await caller.say(said("- -", NUMBERS))).text == ""
        for expectation in (None, Expectation("yes_no")):
            caller.stream.expect(expectation)
            assert (await caller.say(said("one green two", NUMBERS))).text == "one green two"


async def test_a_caller_in_another_language_is_heard_freely(models: Path) -> None:
    async with started(models, "numbers") as engine:
        caller = Caller(engine, RecognitionHints("de-DE"))
        caller.stream.expect(Expectation("digits", 5))
        assert (await caller.say(said("one green two", NUMBERS))).text == "one green two"


@pytest.mark.parametrize("model", ["tiny", "colours"])
async def test_a_model_without_a_dynamic_graph_or_digits_goes_on_hearing_anything(
    models: Path, model: str
) -> None:
    async with started(models, model) as engine:
        caller = Caller(engine, HINTS)
        caller.stream.expect(Expectation("digits", 5))
        assert (await caller.say(said("green red"))).text == "green red"


async def test_too_much_at_once_is_dropped_and_counted(engine: VoskRecogniser) -> None:
    caller = Caller(engine, HINTS)
    before = dropped_seconds(engine)
    for _ in range(65):
        caller.stream.push(silence(SAMPLE_RATE))  # before a thread has a turn
    assert dropped_seconds(engine) - before == pytest.approx(5.0)
    caller.stream.finish_segment()
    assert (await caller.next_final()).text == ""
    assert (await caller.say(said("blue"))).text == "blue"
    assert not any(final.lost for final in caller.finals)


async def test_what_keeps_it_from_starting_is_named(models: Path) -> None:
    (models / "empty").mkdir()
    for name, file in (
        ("network", "am/final.mdl"),
        ("graph", "graph/HCLG.fst"),
        ("config", "conf/mfcc.conf"),
    ):
        shutil.copytree(models / "tiny", models / name)
        path = models / name / file
        path.write_bytes(
            path.read_bytes()[: path.stat().st_size // 2] if name != "config" else b"--nonsense=1\n"
        )
    for name, message in (
        ("absent", rf"absent is not in .*trunkline models fetch absent.*{SETTING}"),
        ("", f"set {SETTING}"),
        ("empty", rf"has no conf/mfcc\.conf.*{SETTING}"),
        ("network", rf"cannot be loaded: .*{SETTING}"),
        ("graph", rf"cannot be loaded: .*{SETTING}"),
        ("config", rf"cannot be loaded: .*{SETTING}"),
    ):
        engine = VoskRecogniser(VoskSettings(model=name), models)
        with pytest.raises(EngineUnavailable, match=message):
            await engine.start()
        await engine.close()


async def test_a_missing_library_is_named(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vosk", None)
    with pytest.raises(EngineUnavailable, match=r"not installed.*make engines"):
        await VoskRecogniser(VoskSettings(model="tiny"), models).start()


async def test_an_engine_that_was_not_started_says_so(models: Path) -> None:
    with pytest.raises(EngineError, match="not started"):
        Caller(VoskRecogniser(VoskSettings(model="tiny"), models))
