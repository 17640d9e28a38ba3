from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import structlog.testing
import yaml

from app.engines.digits import find_number
from app.engines.errors import EngineUnavailable
from app.engines.ports import UNCLEAR, Expectation, RecognitionHints, Transcript
from app.engines.stt.pocketsphinx import PocketsphinxRecogniser
from app.voice.profile import AgentProfile
from config.settings import AGENTS, ROOT, PocketsphinxSettings
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


class Call:
    """A caller on a mu-law line."""

    def __init__(self, engine: PocketsphinxRecogniser) -> None:
        self.finals: asyncio.Queue[Transcript] = asyncio.Queue()
        self.interims: list[str] = []
        self.stream = engine.open(HINTS, self._sink)

    async def say(self, samples: Samples, expectation: Expectation | None = None) -> Transcript:
        line = np.concatenate((silence(1600), g711.decode(g711.encode(samples)), silence(960)))
        self.stream.expect(expectation)
        for start in range(0, line.size, 160):
            self.stream.push(line[start : start + 160])
        self.stream.finish_segment()
        async with asyncio.timeout(20):
            return await self.finals.get()

    def _sink(self, transcript: Transcript) -> None:
        if transcript.final:
            self.finals.put_nowait(transcript)
        else:
            self.interims.append(transcript.text)


def demo(name: str) -> Samples:
    return read_wav(DEMO / f"{name}.wav")


async def test_the_demonstration_caller_is_understood(engine: PocketsphinxRecogniser) -> None:
    with (DEMO / "texts.tsv").open(encoding="utf-8") as file:
        texts = {row["file"]: row["text"] for row in csv.DictReader(file, delimiter="\t")}
    call = Call(engine)
    for name in ("hours", "parcel", "interruption", "person", "thanks", "goodbye"):
        assert (await call.say(demo(name))).text == texts[name]
    assert (await call.say(demo("parcel_number"))).text == "where is my parcel 1 2 3 4 5"
    assert (await call.say(demo("unknown"))).text == UNCLEAR


async def test_a_number_comes_as_figures_whether_it_was_expected_or_not(
    engine: PocketsphinxRecogniser,
) -> None:
    call = Call(engine)
    assert (await call.say(demo("number"), FIVE_DIGITS)).text == "1 2 3 4 5"
    assert call.interims[-1] in {"1 2 3 4", "1 2 3 4 5"}
    assert (await call.say(demo("number"), Expectation("digits"))).text == "1 2 3 4 5"
    assert (await call.say(demo("number"))).text == "1 2 3 4 5"
    assert (await call.say(demo("wrong_number"), FIVE_DIGITS)).text == "1 2 3"


async def test_another_subject_is_understood_while_a_number_is_expected(
    engine: PocketsphinxRecogniser,
) -> None:
    final = await Call(engine).say(demo("interruption"), FIVE_DIGITS)
    assert final.text == "sorry what are your opening hours"
    assert final.confidence is not None
    assert final.confidence > 0.5


@pytest.mark.parametrize("expectation", [None, FIVE_DIGITS])
async def test_noise_is_not_words(engine: PocketsphinxRecogniser, expectation: Expectation | None) -> None:
    noise = np.random.default_rng(7).normal(0, 800, 12_000).astype(np.int16)
    tone = (8000 * np.sin(2 * np.pi * 440 / 8000 * np.arange(12_000))).astype(np.int16)
    for sound in (silence(12_000), noise, tone):
        assert (await Call(engine).say(sound, expectation)).text in {"", UNCLEAR}


async def test_words_without_pronunciation_are_named_in_the_log(engine: PocketsphinxRecogniser) -> None:
    with structlog.testing.capture_logs() as logs:
        await engine.prepare(RecognitionHints(phrases=("track my zyxel", "qwrtz")))
    assert [entry["words"] for entry in logs if entry["event"] == "words_without_pronunciation"] == [
        ["qwrtz", "zyxel"]
    ]


async def test_other_languages_are_refused(engine: PocketsphinxRecogniser) -> None:
    with pytest.raises(EngineUnavailable, match="English, not 'de-DE'"):
        await engine.prepare(RecognitionHints(language="de-DE"))


async def test_a_worker_that_dies_owes_empty_finals_and_its_streams_go_on(
    engine: PocketsphinxRecogniser,
) -> None:
    call = Call(engine)
    for _ in range(3):
        call.stream.push(demo("hours"))
        call.stream.finish_segment()
    os.kill(engine.pids[0], signal.SIGKILL)
    async with asyncio.timeout(5):
        assert [(await call.finals.get()).text for _ in range(3)] == ["", "", ""]
    assert engine.lost_finals == 3
    call.stream.push(demo("hours"))
    call.stream.finish_segment()  # while no worker runs
    async with asyncio.timeout(0.5):
        assert (await call.finals.get()).text == ""
    async with asyncio.timeout(10):
        while engine.restarts < 1 or not engine.pids:
            await asyncio.sleep(0.05)
    await engine.prepare(HINTS)
    assert (await call.say(demo("number"), FIVE_DIGITS)).text == "1 2 3 4 5"
    assert call.finals.empty()


async def test_what_a_worker_cannot_take_in_time_is_dropped_and_counted(
    engine: PocketsphinxRecogniser,
) -> None:
    call = Call(engine)
    os.kill(engine.pids[0], signal.SIGSTOP)
    for _ in range(750):  # 15 s
        call.stream.push(silence(160))
    call.stream.finish_segment()
    os.kill(engine.pids[0], signal.SIGCONT)
    async with asyncio.timeout(10):
        assert (await call.finals.get()).text == ""
    assert 5 * 8000 < engine.dropped_samples < 7 * 8000
    assert (await call.say(demo("parcel"))).text == "where is my parcel"


async def test_two_workers_share_the_streams() -> None:
    engine = PocketsphinxRecogniser(PocketsphinxSettings(workers=2))
    await engine.start()
    try:
        assert len(engine.pids) == 2
        calls = [Call(engine) for _ in range(4)]  # unprepared: the first transcript waits
        finals = await asyncio.gather(*(call.say(demo("parcel")) for call in calls))
        assert {final.text for final in finals} == {"where is my parcel"}
    finally:
        await engine.close()


async def test_real_voices(engine: PocketsphinxRecogniser) -> None:
    if not (RECORDED / "manifest.json").is_file():
        pytest.skip("recorded speech is not part of the repository and is not beside it here")
    recordings = json.loads((RECORDED / "manifest.json").read_text(encoding="utf-8"))
    call = Call(engine)
    believed = []
    for recording in recordings:
        samples = g711.decode((RECORDED / recording["ulaw8k"]).read_bytes())
        if recording["id"].startswith("tidigits"):
            final = await call.say(samples, FIVE_DIGITS)
            assert find_number(final.text, 5) == "29340"
        elif samples.size < 8 * 8000:  # pushed at once, longer ones would be dropped in part
            final = await call.say(samples)
            believed += [final.text] if final.text not in {"", UNCLEAR} else []
    assert len(believed) <= 1, believed  # of 14 about something else
