"""Recognisers beside their libraries. A segment is pushed in frames of 20 ms, as from a call, all at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import openai

from app.engines.ports import Recogniser, RecognitionHints, Transcript
from app.engines.stt.faster_whisper import FasterWhisperRecogniser
from app.engines.stt.openai_compatible import OpenAICompatibleRecogniser
from app.engines.stt.sherpa_onnx import SherpaOnnxRecogniser
from app.engines.stt.vosk import VoskRecogniser
from app.engines.stt.wyoming import WyomingRecogniser
from config.engines import (
    EngineSettings,
    FasterWhisperSettings,
    OpenAISpeechToTextSettings,
    SherpaOnnxSettings,
    VoskSettings,
    WyomingSettings,
)
from telephony.media.frame import SAMPLE_RATE
from tests.contracts.overhead import bare
from tests.contracts.overhead.measure import Case, Row, Way, Ways, started
from tests.peers.apart import Addresses
from tests.peers.openai_audio import tone
from tests.peers.sherpa_model import build_sherpa
from tests.peers.vosk_model import build_vosk
from tests.peers.whisper_model import build_whisper
from tests.peers.whisper_shape import build_tiny_en

SEGMENT = np.concatenate([tone(0.5, SAMPLE_RATE, hertz) for hertz in (400.0, 930.0, 1800.0) * 2])
FRAME = SAMPLE_RATE // 50
FRAMES = SEGMENT.size // FRAME
_HINTS = RecognitionHints()


async def hear(engine: Recogniser) -> float:
    """Seconds to the final; the audio is there at once."""
    final: asyncio.Future[Transcript] = asyncio.get_running_loop().create_future()

    def take(transcript: Transcript) -> None:
        if transcript.final and not final.done():
            final.set_result(transcript)

    watch = bare.Stopwatch()
    stream = engine.open(_HINTS, take)
    try:
        for at in range(0, SEGMENT.size, FRAME):
            stream.push(SEGMENT[at : at + FRAME])
        stream.finish_segment()
        assert (await final).text
        watch.lap()
    finally:
        await stream.close()
    return watch.first


def _in_thread(call: Callable[..., float], engine: Recogniser) -> Ways:
    def way(*, resampled: bool) -> Way:
        return Way(partial(asyncio.to_thread, partial(call, resampled=resampled)))

    return Ways(way(resampled=False), Way(partial(hear, engine)), way(resampled=True))


def _whisper(
    name: str, build: Callable[[Path], Path], rounds: int, most_cpu: float, most_seconds: float
) -> Case:

    @asynccontextmanager
    async def case(addresses: Addresses, folder: Path) -> AsyncIterator[list[Row]]:
        from faster_whisper import WhisperModel

        model = WhisperModel(
            str(build(folder / "model")),
            device="cpu",
            compute_type="int8",
            cpu_threads=1,
            local_files_only=True,
        )
        settings = FasterWhisperSettings(model="model", device="cpu")
        async with started(FasterWhisperRecogniser(settings, folder)) as engine:
            ways = _in_thread(partial(bare.faster_whisper, model, SEGMENT), engine)
            yield [Row(name, ways, "words with times", rounds, most_cpu, most_seconds)]

    return case


whisper_tiny = _whisper("faster_whisper, test model", build_whisper, 30, 0.006, 0.015)
whisper_shape = _whisper("faster_whisper, shape of tiny.en", build_tiny_en, 3, 0.05, 0.1)


@asynccontextmanager
async def sherpa_onnx(addresses: Addresses, folder: Path) -> AsyncIterator[list[Row]]:
    from sherpa_onnx import OnlineRecognizer

    model = build_sherpa(folder / "model")
    parts = [str(model / f"{part}-epoch-1-avg-1.onnx") for part in ("encoder", "decoder", "joiner")]
    library: Any = OnlineRecognizer.from_transducer(str(model / "tokens.txt"), *parts, num_threads=1)
    async with started(SherpaOnnxRecogniser(SherpaOnnxSettings(model="model"), folder)) as engine:
        ways = _in_thread(partial(bare.sherpa_onnx, library, SEGMENT), engine)
        yield [Row("sherpa_onnx, test model", ways, "a model of next to no weights", most_cpu=0.003)]


@asynccontextmanager
async def vosk(addresses: Addresses, folder: Path) -> AsyncIterator[list[Row]]:
    import vosk as library

    library.SetLogLevel(-1)
    model = library.Model(str(build_vosk(folder / "model")))
    async with started(VoskRecogniser(VoskSettings(model="model"), folder)) as engine:
        ways = _in_thread(partial(bare.vosk, model, SEGMENT), engine)
        yield [Row("vosk, test model", ways, "a model of next to no weights", most_cpu=0.003)]


@asynccontextmanager
async def openai_compatible(addresses: Addresses, folder: Path) -> AsyncIterator[list[Row]]:
    settings = EngineSettings(
        openai_stt=OpenAISpeechToTextSettings(base_url=addresses.audio, model="whisper-1")
    )
    async with (
        started(OpenAICompatibleRecogniser(settings)) as engine,
        httpx2.AsyncClient() as client,
        openai.AsyncOpenAI(base_url=addresses.audio, api_key="k") as library,
    ):
        ours = Way(partial(hear, engine))
        ways = (
            ("httpx2", Way(partial(bare.httpx_transcription, client, addresses.audio, SEGMENT))),
            ("openai", Way(partial(bare.openai_transcription, library, SEGMENT))),
        )
        yield [
            Row(f"openai_compatible stt / {name}", Ways(way, ours), "8 kHz is sent", most_cpu=0.0005)
            for name, way in ways
        ]


@asynccontextmanager
async def wyoming(addresses: Addresses, folder: Path) -> AsyncIterator[list[Row]]:
    def way(*, resampled: bool) -> Way:
        return Way(partial(bare.wyoming_transcription, addresses.wyoming, SEGMENT, resampled=resampled))

    async with started(WyomingRecogniser(WyomingSettings(stt_url=addresses.wyoming))) as engine:
        ways = Ways(way(resampled=False), Way(partial(hear, engine)), way(resampled=True))
        yield [Row("wyoming stt", ways, most_cpu=0.001)]
