from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import structlog.testing
import yaml

from app.engines.digits import find_number
from app.engines.errors import RequestRefused
from app.engines.ports import LOST, UNCLEAR, Expectation, RecognitionHints, Transcript
from app.engines.stt.pocketsphinx import PocketsphinxRecogniser
from app.voice.profile import AgentProfile
from bench.caller import Caller, dropped_seconds
from config.engines import PocketsphinxSettings
from config.settings import AGENTS, ROOT
from telephony.media import g711
from telephony.media.frame import Samples, silence
from telephony.simulator.speech import read_wav

DEMO = ROOT / "demo"
PROFILE = AgentProfile.model_validate(yaml.safe_load((AGENTS / "parcel.yaml").read_text(encoding="utf-8")))
HINTS = RecognitionHints(
    phrases=tuple(phrase for intent in PROFILE.script.intents.values() for phrase in intent.phrases)
    + PROFILE.phrases
)
FIVE_DIGITS = Expectation("digits", 5)
RECORDED = Path(__file__).resolve().parents[4] / "shared" / "speech"  # real voices, where they are at hand


@pytest.fixture
async def engine() -> AsyncIterator[PocketsphinxRecogniser]:
    engine = PocketsphinxRecogniser(PocketsphinxSettings())
    await engine.start()
    await engine.prepare(HINTS)
    yield engine
    await engine.close()


class PhoneCaller(Caller):
    """A caller on a mu-law line."""

    def __init__(self, engine: PocketsphinxRecogniser) -> None:
        super().__init__(engine, HINTS)

    async def answer(self, samples: Samples, expectation: Expectation | None = None) -> Transcript:
        """Say it where this is expected."""
        self.stream.expect(expectation)
        return await self.say(
            np.concatenate((silence(1600), g711.decode(g711.encode(samples)), silence(960)))
        )


def demo(name: str) -> Samples:
    return read_wav(DEMO / f"{name}.wav")


async def test_the_demonstration_caller_is_understood(engine: PocketsphinxRecogniser) -> None:
    with (DEMO / "texts.tsv").open(encoding="utf-8") as file:
        texts = {row["file"]: row["text"] for row in csv.DictReader(file, delimiter="\t")}
    caller = PhoneCaller(engine)
    for name in ("hours", "parcel", "interruption", "person", "thanks", "goodbye"):
        assert (await caller.answer(demo(name))).text == texts[name]
    assert (await caller.answer(demo("parcel_number"))).text == "where is my parcel 1 2 3 4 5"
    assert (await caller.answer(demo("unknown"))).text == UNCLEAR


async def test_a_number_comes_as_figures_whether_it_was_expected_or_not(
    engine: PocketsphinxRecogniser,
) -> None:
    caller = PhoneCaller(engine)
    assert (await caller.answer(demo("number"), FIVE_DIGITS)).text == "1 2 3 4 5"
    assert caller.interims[-1] in {"1 2 3 4", "1 2 3 4 5"}
    assert (await caller.answer(demo("number"), Expectation("digits"))).text == "1 2 3 4 5"
    assert (await caller.answer(demo("number"))).text == "1 2 3 4 5"
    assert (await caller.answer(demo("wrong_number"), FIVE_DIGITS)).text == "1 2 3"


async def test_another_subject_is_understood_while_a_number_is_expected(
    engine: PocketsphinxRecogniser,
) -> None:
    final = await PhoneCaller(engine).answer(demo("interruption"), FIVE_DIGITS)
    assert final.text == "sorry what are your opening hours"
    assert final.confidence is not None
    assert final.confidence > 0.5


@pytest.mark.parametrize("expectation", [None, FIVE_DIGITS])
async def test_noise_is_not_words(engine: PocketsphinxRecogniser, expectation: Expectation | None) -> None:
    noise = np.random.default_rng(7).normal(0, 800, 12_000).astype(np.int16)
    tone = (8000 * np.sin(2 * np.pi * 440 / 8000 * np.arange(12_000))).astype(np.int16)
    for sound in (silence(12_000), noise, tone):
        assert (await PhoneCaller(engine).answer(sound, expectation)).text in {"", UNCLEAR}


async def test_words_without_pronunciation_are_named_in_the_log(engine: PocketsphinxRecogniser) -> None:
    with structlog.testing.capture_logs() as logs:
        await engine.prepare(RecognitionHints(phrases=("track my zyxel", "qwrtz")))
    assert [entry["words"] for entry in logs if entry["event"] == "words_without_pronunciation"] == [
        ["qwrtz", "zyxel"]
    ]


async def test_other_languages_are_refused(engine: PocketsphinxRecogniser) -> None:
    with pytest.raises(RequestRefused, match="English, not 'de-DE'"):
        await engine.prepare(RecognitionHints(language="de-DE"))


async def test_a_worker_that_dies_owes_lost_finals_and_its_streams_go_on(
    engine: PocketsphinxRecogniser,
) -> None:
    caller = PhoneCaller(engine)
    for _ in range(3):
        caller.stream.push(demo("hours"))
        caller.stream.finish_segment()
    os.kill(engine.pids[0], signal.SIGKILL)
    async with asyncio.timeout(5):
        assert [await caller.next_final() for _ in range(3)] == [LOST] * 3
    caller.stream.push(demo("hours"))
    caller.stream.finish_segment()  # while no worker runs
    async with asyncio.timeout(0.5):
        assert await caller.next_final() == LOST
    async with asyncio.timeout(10):
        while engine.restarts < 1 or not engine.pids:
            await asyncio.sleep(0.05)
    await engine.prepare(HINTS)
    assert (await caller.answer(demo("number"), FIVE_DIGITS)).text == "1 2 3 4 5"
    assert len(caller.finals) == 5


async def test_a_segment_whose_beginning_went_with_its_worker_is_lost(engine: PocketsphinxRecogniser) -> None:
    caller = PhoneCaller(engine)
    caller.stream.push(demo("hours")[:8000])
    await asyncio.sleep(0.1)
    os.kill(engine.pids[0], signal.SIGKILL)
    async with asyncio.timeout(10):
        while engine.restarts < 1 or not engine.pids:
            await asyncio.sleep(0.05)
    await engine.prepare(HINTS)
    caller.stream.push(demo("hours")[8000:])
    caller.stream.finish_segment()
    async with asyncio.timeout(5):
        assert await caller.next_final() == LOST
    assert (await caller.answer(demo("parcel"))).text == "where is my parcel"


async def test_what_a_worker_cannot_take_in_time_is_dropped_and_counted(
    engine: PocketsphinxRecogniser,
) -> None:
    caller = PhoneCaller(engine)
    before = dropped_seconds(engine)
    os.kill(engine.pids[0], signal.SIGSTOP)
    for _ in range(3400):  # 68 s
        caller.stream.push(silence(160))
    caller.stream.finish_segment()
    os.kill(engine.pids[0], signal.SIGCONT)
    async with asyncio.timeout(10):
        assert (await caller.next_final()).text == ""
    assert 5.0 < dropped_seconds(engine) - before < 7.0
    assert (await caller.answer(demo("parcel"))).text == "where is my parcel"


async def test_a_worker_that_hangs_is_replaced_and_one_that_has_much_to_hear_is_not(
    engine: PocketsphinxRecogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engines.stt.pocketsphinx._SILENT_SECONDS", 0.5)
    caller = PhoneCaller(engine)
    began = time.monotonic()
    caller.speak(np.tile(demo("parcel"), 34))
    caller.speak(demo("parcel"))
    assert [final.lost for final in await caller.until(2)] == [False, False]
    assert time.monotonic() - began > 0.5
    assert engine.restarts == 0
    os.kill(engine.pids[0], signal.SIGSTOP)
    caller.speak(demo("parcel"))
    assert (await caller.until(3))[2] == LOST


async def test_a_stream_that_is_closed_waits_for_no_final(
    engine: PocketsphinxRecogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engines.stt.pocketsphinx._SILENT_SECONDS", 0.1)
    caller = PhoneCaller(engine)
    await caller.stream.close()
    caller.speak(demo("parcel"))
    await asyncio.sleep(0.3)
    assert engine.pids
    assert engine.restarts == 0
    assert caller.heard == []


async def test_two_workers_share_the_streams() -> None:
    engine = PocketsphinxRecogniser(PocketsphinxSettings(workers=2))
    await engine.start()
    try:
        assert len(engine.pids) == 2
        callers = [PhoneCaller(engine) for _ in range(4)]  # unprepared: the first transcript waits
        finals = await asyncio.gather(*(caller.answer(demo("parcel")) for caller in callers))
        assert {final.text for final in finals} == {"where is my parcel"}
    finally:
        await engine.close()


async def test_real_voices(engine: PocketsphinxRecogniser) -> None:
    if not (RECORDED / "manifest.json").is_file():
        pytest.skip("recorded speech is not part of the repository and is not beside it here")
    recordings = json.loads((RECORDED / "manifest.json").read_text(encoding="utf-8"))
    caller = PhoneCaller(engine)
    believed = []
    for recording in recordings:
        samples = g711.decode((RECORDED / recording["ulaw8k"]).read_bytes())
        if recording["id"].startswith("tidigits"):
            final = await caller.answer(samples, FIVE_DIGITS)
            assert find_number(final.text, 5) == "29340"
        else:
            final = await caller.answer(samples)
            believed += [final.text] if final.text not in {"", UNCLEAR} else []
    assert len(believed) <= 1, believed  # of 15 about something else
