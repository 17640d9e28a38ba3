"""The engines' libraries called bare, as their own documentation does it; each gives the seconds to its first
result. ``resampled``: with the conversion that a telephone call needs."""

from __future__ import annotations

import io
import json
import time
import wave
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import av
import httpx2
import numpy as np
import openai

from telephony.media.frame import SAMPLE_RATE, Samples
from telephony.media.resample import Resampler
from tests.peers.wyoming_server import AudioChunk, AudioStart, AudioStop

_PIECE = SAMPLE_RATE // 10


class Stopwatch:
    """Seconds from its making to the first ``lap``."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.first = 0.0

    def lap(self) -> None:
        self.first = self.first or time.perf_counter() - self._began


def to_line(rate: int, *, resampled: bool) -> Callable[[bytes], Samples]:
    """What is done with each piece of PCM16, which may be cut in a sample."""
    convert = Resampler(rate, SAMPLE_RATE).push if resampled else None
    held = b""

    def take(data: bytes) -> Samples:
        nonlocal held
        data = held + data
        held = data[len(data) & ~1 :]
        samples = np.frombuffer(data, np.int16, len(data) // 2)
        return convert(samples) if convert is not None else samples

    return take


def at_16k(samples: Samples, *, resampled: bool) -> Samples:
    """A segment for a library of 16 kHz; not resampled: as if it had come so."""
    if not resampled:
        return np.repeat(samples, 2)
    resampler = Resampler(SAMPLE_RATE, 2 * SAMPLE_RATE)
    pieces = [resampler.push(samples[at : at + _PIECE]) for at in range(0, samples.size, _PIECE)]
    return np.concatenate(pieces)


# Recognition


def faster_whisper(model: Any, samples: Samples, *, resampled: bool) -> float:
    """For a thread. With the adapter's options, words' times included.

    The first segment is all of the first window; the library would decode again from the last word's end.
    """
    watch = Stopwatch()
    audio = at_16k(samples, resampled=resampled).astype(np.float32) / 32768
    segments, _ = model.transcribe(
        audio,
        language="en",
        beam_size=1,
        best_of=1,
        temperature=0.0,
        condition_on_previous_text=False,
        without_timestamps=True,
        word_timestamps=True,
        max_new_tokens=64,
    )
    assert next(iter(segments)).words
    watch.lap()
    return watch.first


def _wav(samples: Samples) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(samples.tobytes())
    return file.getvalue()


async def httpx_transcription(client: httpx2.AsyncClient, url: str, samples: Samples) -> float:
    watch = Stopwatch()
    form = {"model": "whisper-1", "response_format": "verbose_json", "language": "en"}
    files = {"file": ("speech.wav", _wav(samples), "audio/wav")}
    response = await client.post(f"{url}/audio/transcriptions", data=form, files=files)
    assert json.loads(response.content)["text"]
    watch.lap()
    return watch.first


async def openai_transcription(client: openai.AsyncOpenAI, samples: Samples) -> float:
    watch = Stopwatch()
    answer = await client.audio.transcriptions.create(
        file=("speech.wav", _wav(samples), "audio/wav"),
        model="whisper-1",
        response_format="verbose_json",
        language="en",
    )
    assert answer.text
    watch.lap()
    return watch.first


async def wyoming_transcription(url: str, samples: Samples, *, resampled: bool) -> float:
    from wyoming.asr import Transcribe, Transcript

    watch = Stopwatch()
    audio = at_16k(samples, resampled=resampled).tobytes()
    async with _wyoming(url) as client:
        await client.write_event(Transcribe(language="en").event())
        await client.write_event(AudioStart(16_000, 2, 1).event())
        for at in range(0, len(audio), 4 * _PIECE):
            await client.write_event(AudioChunk(16_000, 2, 1, audio[at : at + 4 * _PIECE]).event())
        await client.write_event(AudioStop().event())
        while (event := await client.read_event()) is not None:
            if Transcript.is_type(event.type):
                assert Transcript.from_event(event).text
                watch.lap()
                break
    return watch.first


def sherpa_onnx(recogniser: Any, samples: Samples, *, resampled: bool) -> float:
    """For a thread; a second of audio at a time, and 0.6 s of silence after it."""
    watch = Stopwatch()
    audio = at_16k(samples, resampled=resampled).astype(np.float32) / 32768
    stream = recogniser.create_stream()
    for piece in (*np.split(audio, range(16_000, audio.size, 16_000)), np.zeros(9600, np.float32)):
        stream.accept_waveform(16_000, piece)
        while recogniser.is_ready(stream):
            recogniser.decode_stream(stream)
    stream.input_finished()
    while recogniser.is_ready(stream):
        recogniser.decode_stream(stream)
    assert recogniser.get_result_all(stream).text
    watch.lap()
    return watch.first


def vosk(model: Any, samples: Samples, *, resampled: bool) -> float:
    """For a thread; a second of audio at a time."""
    from vosk import KaldiRecognizer

    watch = Stopwatch()
    audio = at_16k(samples, resampled=resampled)
    recogniser = KaldiRecognizer(model, 16_000)
    recogniser.SetWords(True)
    for piece in np.split(audio, range(16_000, audio.size, 16_000)):
        recogniser.AcceptWaveform(piece.tobytes())
    assert json.loads(recogniser.FinalResult())["text"]
    watch.lap()
    return watch.first


# Language


async def chat(client: openai.AsyncOpenAI, messages: list[Any]) -> float:
    watch, text = Stopwatch(), ""
    stream = await client.chat.completions.create(
        model="m",
        messages=messages,
        temperature=0.4,
        max_tokens=200,
        stream=True,
        stream_options={"include_usage": True},
    )
    async for chunk in stream:
        for choice in chunk.choices:
            if choice.delta.content:
                watch.lap()
                text += choice.delta.content
    assert text
    return watch.first


# Speech


async def httpx_speech(client: httpx2.AsyncClient, url: str, phrase: str, *, resampled: bool) -> float:
    body = {"model": "tts-1", "input": phrase, "voice": "alloy", "response_format": "pcm"}
    watch, convert = Stopwatch(), to_line(24_000, resampled=resampled)
    async with client.stream("POST", f"{url}/audio/speech", json=body) as response:
        async for data in response.aiter_bytes():
            assert convert(data).size
            watch.lap()
    return watch.first


async def openai_speech(client: openai.AsyncOpenAI, phrase: str, *, resampled: bool) -> float:
    watch, convert = Stopwatch(), to_line(24_000, resampled=resampled)
    asked = client.audio.speech.with_streaming_response.create(
        model="tts-1", input=phrase, voice="alloy", response_format="pcm"
    )
    async with asked as response:
        async for data in response.iter_bytes():
            assert convert(data).size
            watch.lap()
    return watch.first


async def wyoming_speech(url: str, phrase: str, *, resampled: bool) -> float:
    from wyoming.tts import Synthesize, SynthesizeVoice

    watch, convert = Stopwatch(), to_line(16_000, resampled=resampled)
    async with _wyoming(url) as client:
        await client.write_event(Synthesize(phrase, SynthesizeVoice(language="en")).event())
        while (event := await client.read_event()) is not None and not AudioStop.is_type(event.type):
            if AudioChunk.is_type(event.type):
                assert convert(AudioChunk.from_event(event).audio).size
                watch.lap()
    return watch.first


async def edge_speech(phrase: str, *, resampled: bool) -> float:
    """Decoded with PyAV, which resamples too."""
    import edge_tts

    watch = Stopwatch()
    async for samples in _decoded(edge_tts.Communicate(phrase, boundary="WordBoundary"), resampled=resampled):
        assert samples.size
        watch.lap()
    return watch.first


async def _decoded(communicate: Any, *, resampled: bool) -> AsyncIterator[np.ndarray]:
    codec = av.CodecContext.create("mp3float", "r")
    resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE if resampled else 24_000)
    async for message in communicate.stream():
        if message["type"] == "audio":
            for packet in codec.parse(message["data"]):
                for frame in codec.decode(packet):
                    for piece in resampler.resample(frame):
                        yield piece.to_ndarray()[0]


def _wyoming(url: str) -> Any:
    from wyoming.client import AsyncTcpClient

    parts = urlsplit(url)
    return AsyncTcpClient(str(parts.hostname), parts.port or 0)
