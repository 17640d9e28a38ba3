"""Synthesisers beside their libraries, with a phrase of five to six seconds."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import httpx2
import openai

from app.engines.ports import Synthesiser, VoiceSpec
from app.engines.tts.edge import EdgeSynthesiser
from app.engines.tts.openai_compatible import OpenAICompatibleSynthesiser
from app.engines.tts.piper import PiperSynthesiser
from app.engines.tts.wyoming import WyomingSynthesiser
from config.engines import (
    EdgeSettings,
    EngineSettings,
    OpenAITextToSpeechSettings,
    PiperSettings,
    WyomingSettings,
)
from telephony.media.frame import SAMPLE_RATE
from tests.contracts.overhead import bare
from tests.contracts.overhead.measure import Case, Row, Way, Ways, process_clock, started
from tests.peers.apart import REPOSITORY, Addresses
from tests.peers.piper_shape import write_medium_voice
from tests.peers.piper_voice import write_voice

PHRASE = "Your parcel number 1 2 3 4 5 is out for delivery. It will be with you today, before five o'clock."
_MOST_CPU = 0.0015  # 0.3 ms a second of speech


async def speak(engine: Synthesiser) -> float:
    """Seconds to the first piece."""
    watch, samples = bare.Stopwatch(), 0
    async for chunk in engine.speak(PHRASE, VoiceSpec()):
        watch.lap()
        samples += chunk.samples.size
    assert samples > 4 * SAMPLE_RATE
    return watch.first


@asynccontextmanager
async def openai_compatible(addresses: Addresses, folder: Path) -> AsyncIterator[list[Row]]:
    settings = EngineSettings(openai_tts=OpenAITextToSpeechSettings(base_url=addresses.audio))
    async with (
        started(OpenAICompatibleSynthesiser(settings)) as engine,
        httpx2.AsyncClient() as client,
        openai.AsyncOpenAI(base_url=addresses.audio, api_key="k") as library,
    ):
        ours = Way(partial(speak, engine))
        plain = partial(bare.httpx_speech, client, addresses.audio, PHRASE)
        packaged = partial(bare.openai_speech, library, PHRASE)
        rows: list[Row] = []
        for name, way in (("httpx2", plain), ("openai", packaged)):
            ways = Ways(Way(partial(way, resampled=False)), ours, Way(partial(way, resampled=True)))
            rows.append(Row(f"openai_compatible tts / {name}", ways, most_cpu=_MOST_CPU))
        yield rows


@asynccontextmanager
async def wyoming(addresses: Addresses, folder: Path) -> AsyncIterator[list[Row]]:
    way = partial(bare.wyoming_speech, addresses.wyoming, PHRASE)
    async with started(WyomingSynthesiser(WyomingSettings(tts_url=addresses.wyoming))) as engine:
        resampled = Way(partial(way, resampled=True))
        ways = Ways(Way(partial(way, resampled=False)), Way(partial(speak, engine)), resampled)
        yield [Row("wyoming tts", ways, most_cpu=_MOST_CPU)]


@asynccontextmanager
async def edge(addresses: Addresses, folder: Path) -> AsyncIterator[list[Row]]:
    """Both open a connection a phrase; the adapter's is there before it is needed."""
    way = partial(bare.edge_speech, PHRASE)
    with patch("edge_tts.communicate.WSS_URL", addresses.edge):
        async with started(EdgeSynthesiser(EdgeSettings(url=addresses.edge))) as engine:
            resampled = Way(partial(way, resampled=True))
            ways = Ways(Way(partial(way, resampled=False)), Way(partial(speak, engine)), resampled)
            yield [Row("edge", ways, "ours marks words", most_cpu=_MOST_CPU)]


def _piper(
    name: str, write: Callable[[Path, str], Path], rounds: int, most_cpu: float, most_seconds: float
) -> Case:

    @asynccontextmanager
    async def case(addresses: Addresses, folder: Path) -> AsyncIterator[list[Row]]:
        path = write(folder, "en_US-tiny-low")
        async with started(PiperSynthesiser(PiperSettings(voice=path.stem), folder)) as engine:
            worker = process_clock(engine.pids[0])
            ours = Way(partial(speak, engine), lambda: time.process_time() + worker())
            with _bare_piper(path) as ways:
                both = Ways(ways[0], ours, ways[1])
                yield [Row(name, both, "ours marks words", rounds, most_cpu, most_seconds)]

    return case


piper = _piper("piper, test model", write_voice, 30, 0.01, 0.015)
piper_shape = _piper("piper, shape of medium", write_medium_voice, 4, 0.03, 0.1)


@contextmanager
def _bare_piper(voice: Path) -> Iterator[tuple[Way, Way]]:
    """The library in a process of its own; plain, and resampled."""
    threads = str(max(1, min(4, os.cpu_count() or 1)))  # as the adapter has it with one worker
    command = [sys.executable, "-m", "tests.peers.bare_piper", str(voice), threads]
    spent = 0.0
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        asking, answering = child.stdin, child.stdout
        assert asking is not None
        assert answering is not None

        def ask(*, resampled: bool) -> float:
            nonlocal spent
            asking.write(json.dumps([PHRASE, resampled]) + "\n")
            asking.flush()
            cpu, first, samples = json.loads(answering.readline())
            assert samples
            spent += cpu
            return float(first)

        def way(*, resampled: bool) -> Way:
            return Way(partial(asyncio.to_thread, partial(ask, resampled=resampled)), lambda: spent)

        try:
            yield way(resampled=False), way(resampled=True)
        finally:
            asking.close()
