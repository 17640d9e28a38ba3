from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import SecretStr

from app.engines.errors import EngineError, EngineTimeout, EngineUnavailable
from app.engines.ports import Voice, VoiceSpec
from app.engines.tts.openai_compatible import OpenAICompatibleSynthesiser
from config.engines import EngineSettings, OpenAITextToSpeechSettings
from telephony.media.frame import Samples
from tests.contracts.probe import never_stalls, started
from tests.peers.apart import Addresses
from tests.peers.edge_server import encode
from tests.peers.openai_audio import Answer, OpenAIAudioServer, refusal, tone, wav

KEY = "sk-very-secret"
VOICE = VoiceSpec()
PHRASE = "Your parcel is on its way."


def sound(
    seconds: float = 0.5, rate: int = 24_000, framing: Literal["chunked", "length"] = "chunked"
) -> Answer:
    return Answer([tone(seconds, rate).tobytes()], kind="audio/pcm", framing=framing)


def settings_for(url: str, patience: float = 5.0, **own: Any) -> EngineSettings:
    speech = OpenAITextToSpeechSettings(base_url=url, api_key=SecretStr(KEY), timeout_seconds=patience, **own)
    return EngineSettings(openai_tts=speech)


@asynccontextmanager
async def connected(
    server: OpenAIAudioServer, patience: float = 5.0, **own: Any
) -> AsyncIterator[OpenAICompatibleSynthesiser]:
    async with server.running():
        engine = OpenAICompatibleSynthesiser(settings_for(server.url, patience, **own))
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()


async def collect(
    engine: OpenAICompatibleSynthesiser, phrase: str = PHRASE, voice: VoiceSpec = VOICE
) -> Samples:
    pieces = [chunk.samples async for chunk in engine.speak(phrase, voice)]
    return np.concatenate([np.empty(0, np.int16), *pieces])


async def speak(answer: Answer, patience: float = 5.0, **own: Any) -> Samples:
    async with connected(OpenAIAudioServer(answer), patience, **own) as engine:
        return await collect(engine)


def is_tone(samples: Samples, seconds: float, hertz: float = 440.0, level: float = 8000.0) -> bool:
    """Whether this is that tone at 8 kHz, of that length, and nothing else."""
    if abs(samples.size - seconds * 8000) > 40:
        return False
    inner = samples[400:-400].astype(float)
    spectrum = np.abs(np.fft.rfft(inner * np.hanning(inner.size)))
    peak = np.argmax(spectrum) * 8000 / inner.size
    beside = spectrum.copy()
    beside[max(0, int(np.argmax(spectrum)) - 4) : int(np.argmax(spectrum)) + 5] = 0
    return bool(
        abs(peak - hertz) < 8000 / inner.size + 1
        and beside.max() < spectrum.max() / 300
        and abs(np.abs(inner).max() - level) < 0.02 * level
    )


async def test_the_request_says_what_to_speak_and_how() -> None:
    server = OpenAIAudioServer(sound())
    async with connected(server, voice="onyx", model="tts-1") as engine:
        await collect(engine)
        await collect(engine, PHRASE, VoiceSpec(name="nova", rate=1.25, pitch=2.0))
        await collect(engine, "\ud800 a", VoiceSpec(rate=9.0))
    first, second, third = server.requests
    assert (first.path, first.key) == ("/v1/audio/speech", f"Bearer {KEY}")
    assert first.body == {"model": "tts-1", "input": PHRASE, "voice": "onyx", "response_format": "pcm"}
    assert (second.body["voice"], second.body["speed"]) == ("nova", 1.25)
    assert (third.body["input"], third.body["speed"]) == ("? a", 4.0)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("framing", ["chunked", "length"])
async def test_pcm_of_any_rate_becomes_audio_for_the_line(
    rate: int, framing: Literal["chunked", "length"]
) -> None:
    assert is_tone(await speak(sound(1.0, rate, framing), pcm_hz=rate), 1.0)


async def test_the_rate_in_the_content_type_is_believed() -> None:
    answer = Answer([tone(1.0, 16_000).tobytes()], kind="audio/pcm;rate=16000;channels=1")
    assert is_tone(await speak(answer), 1.0)


@pytest.mark.parametrize(("rate", "channels", "bits"), [
    (24_000, 1, 16), (22_050, 2, 16), (16_000, 1, 8), (48_000, 2, 32), (8_000, 1, 16),
])  # fmt: skip
@pytest.mark.parametrize("asked", ["pcm", "wav"])
async def test_wav_of_any_format_is_read(rate: int, channels: int, bits: int, asked: str) -> None:
    samples = np.repeat(tone(1.0, rate), channels)
    given = {
        8: ((samples >> 8) + 128).astype(np.uint8).tobytes(),
        16: samples.tobytes(),
        32: (samples.astype(np.int32) << 16).tobytes(),
    }
    data = wav(given[bits], rate, channels, bits, b"LIST\x05\0\0\0abcde\0")
    heard = await speak(Answer([data], kind="audio/wav"), format=asked)
    assert heard.size == pytest.approx(8000, abs=40)
    assert bits == 8 or is_tone(heard, 1.0)


async def test_bytes_may_be_cut_anywhere() -> None:
    samples = tone(0.05, 24_000)
    for format_, data in (("pcm", samples.tobytes()), ("wav", wav(samples.tobytes(), 24_000))):
        whole = await speak(Answer([data], kind="audio/x"), format=format_)
        pieces = [bytes([byte]) for byte in data]
        assert np.array_equal(await speak(Answer(pieces, kind="audio/x"), format=format_), whole)
        for cut in (1, 3, 11, 12, 43, 44, 45, 1001):
            cut_once = Answer([data[:cut], 0.001, data[cut:]], kind="audio/x")
            assert np.array_equal(await speak(cut_once, format=format_), whole)


async def test_audio_comes_while_more_is_made() -> None:
    piece = tone(0.1, 24_000).tobytes()
    server = OpenAIAudioServer(Answer([piece, 5.0, piece], kind="audio/pcm"))
    async with connected(server) as engine, aclosing(engine.speak(PHRASE, VOICE)) as speech:
        async with asyncio.timeout(2):
            heard = 0
            while heard < 700:
                heard += (await anext(speech)).samples.size
        await speech.aclose()
        async with asyncio.timeout(1):
            await server.disconnected.wait()


async def test_a_cancelled_phrase_closes_its_request_at_once() -> None:
    server = OpenAIAudioServer(Answer([tone(0.1, 24_000).tobytes(), 5.0], kind="audio/pcm"))
    async with connected(server) as engine:
        task = asyncio.create_task(collect(engine))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        async with asyncio.timeout(1):
            await server.disconnected.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_connections_stay_open() -> None:
    server = OpenAIAudioServer(sound(0.1))
    async with connected(server) as engine:
        for _ in range(5):
            await collect(engine)
    assert server.connections == 1


@pytest.mark.parametrize(("answer", "words", "retryable"), [
    (refusal(400, f"no such voice for {PHRASE}"), "answers 400$", False),
    (refusal(400, f"{PHRASE[:16].upper()}... is too long"), "answers 400$", False),
    (Answer([json.dumps({"error": f"cannot say {PHRASE.lower()!r}"}).encode()]), "but this: an error$", True),
    (refusal(401), "refuses the key.*OPENAI_TTS__API_KEY", False),
    (refusal(404, "no such model"), "404: no such model.*OPENAI_TTS__BASE_URL.*OPENAI_TTS__MODEL", False),
    (Answer([json.dumps({"detail": [{"msg": "too fast"}]}).encode()], 422), "answers 422: too fast", False),
    (Answer([b'{"detail": {"error": "x", "message": "bad voice"}}'], 400), "bad voice", False),
    (Answer([b"<html>"], 502, "text/html"), "answers 502", True),
    (refusal(429), "rate or quota", True),
    (refusal(500, KEY), r"answers 500: \*\*\*", True),
    (Answer([b'{"error": {"message": "overloaded"}}']), "no audio, but this: overloaded", True),
    (Answer([b"hello"], kind="text/html"), "no audio, but this: text/html", True),
    (Answer([b"\0" * 4800, 0.01, b'{"error": "gpu is gone"}'], kind="audio/pcm"), "gpu is gone", True),
    (Answer([], kind="audio/pcm"), "sent no audio", True),
    (Answer([b"\0"], kind="audio/pcm"), "sent no audio", True),
    (Answer([b"\0" * 4800], kind="audio/pcm", framing="length", missing=5), "connection broke", True),
    (Answer([b"\0" * 4800], kind="audio/pcm", missing=1), "connection broke", True),
    (Answer([b"\0" * 48], kind="audio/pcm;rate=900000"), "of 900000 Hz; check .*OPENAI_TTS__FORMAT", True),
])  # fmt: skip
async def test_what_fails_says_why(answer: Answer, words: str, retryable: bool) -> None:
    server = OpenAIAudioServer(lambda request: answer if len(server.requests) == 1 else sound(0.2))
    async with connected(server) as engine:
        with pytest.raises(EngineError, match=words) as caught:
            await collect(engine)
        assert (await collect(engine)).size
    assert caught.value.retryable is retryable
    assert KEY not in str(caught.value)
    assert PHRASE not in str(caught.value)


@pytest.mark.parametrize(("data", "words"), [
    (b"ID3\x04" + bytes(100), "MP3, neither PCM nor WAV"),
    (b"\0" * 100, "what is no WAV file"),
    (wav(b"", 24_000, bits=24), "24 bits"),
    (wav(b"", 24_000, channels=9), "9 channels"),
    (wav(b"", 100), "audio of 100 Hz"),
    (wav(b"", 24_000).replace(b"fmt \x10\0\0\0\x01", b"fmt \x10\0\0\0\x03"), "coding 3"),
    (wav(b"", 24_000).replace(b"fmt ", b"junk"), "does not tell its format"),
    (wav(b"", 24_000).replace(b"\x10\0\0\0", b"\x02\0\0\0"), "format is broken"),
    (wav(b"", 24_000, extra=b"LIST\xff\xff\xff\xff"), "audio does not begin"),
    (wav(b"", 24_000)[:20], "sent no audio"),
])  # fmt: skip
async def test_what_is_no_wav_is_an_error(data: bytes, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        await speak(Answer([data], kind="audio/wav"), format="wav")


@pytest.mark.parametrize(("begin", "name"), [
    (b"ID3\x04\0\0\0\0\0\0", "MP3"),
    (encode(tone(0.1, 24_000))[:4], "MP3"),
    (b"\xff\xf3\xe4\xc4", "MP3"),
    (b"\xff\xf1\x50\x80", "AAC"),
    (b"OggS\0\2", "Ogg"),
    (b"fLaC\0\0", "FLAC"),
    (b"\x1aE\xdf\xa3", "WebM"),
    (b"\0\0\0\x20ftypisom", "MP4"),
    (b"FORM\0\0\1\0AIFF", "AIFF"),
])  # fmt: skip
@pytest.mark.parametrize("asked", ["pcm", "wav"])
@pytest.mark.parametrize("size", [1, 4000])
async def test_another_format_is_no_noise_for_the_caller(
    begin: bytes, name: str, asked: str, size: int
) -> None:
    data = begin + bytes(range(256)) * 30
    pieces = [data[start : start + size] for start in range(0, 100 if size == 1 else len(data), size)]
    async with connected(OpenAIAudioServer(Answer(pieces, kind="audio/mpeg")), format=asked) as engine:
        with pytest.raises(EngineError, match=f"{name}, neither .*OPENAI_TTS__FORMAT, which asks for pcm or"):
            await collect(engine)


@pytest.mark.parametrize("begin", [
    b"\xff\xff", b"\xff\xff\xff\xff", b"\xff\xfe\x00\x00", b"\0\0\xff\xfb", b"\xff\xfb\xf0\x00", b"ID",
])  # fmt: skip
async def test_pcm_is_pcm_whatever_it_begins_with_and_is_called(begin: bytes) -> None:
    data = begin + tone(1.0, 24_000).tobytes()
    assert (await speak(Answer([data], kind="audio/mpeg"))).size == pytest.approx(8000, abs=40)


async def test_a_wav_file_sent_for_pcm_is_read() -> None:
    data = wav(tone(1.0, 16_000).tobytes(), 16_000)
    assert is_tone(await speak(Answer([data], kind="application/octet-stream")), 1.0)


@pytest.mark.parametrize(("sub_format", "words"), [(1, ""), (3, "coding 3 with 32 bits")])
async def test_a_format_that_is_described_further_is_read(sub_format: int, words: str) -> None:
    data = wav((tone(1.0, 24_000).astype(np.int32) << 16).tobytes(), 24_000, bits=32)
    guid = struct.pack("<H", sub_format) + bytes.fromhex("000000001000800000aa00389b71")
    further = struct.pack("<HHI", 22, 32, 4) + guid
    data = data[:16] + b"\x28\0\0\0\xfe\xff" + data[22:36] + further + data[36:]
    answer = Answer([data], kind="audio/wav")
    if words:
        with pytest.raises(EngineError, match=words):
            await speak(answer)
    else:
        assert is_tone(await speak(answer), 1.0)


async def test_what_follows_the_audio_of_a_wav_file_is_not_heard() -> None:
    sound = tone(1.0, 24_000).tobytes()
    after = b"LIST\xa0\x0f\0\0" + bytes(range(250)) * 16
    head = wav(b"", 24_000)[:-4]
    for told, follows in ((len(sound), after), (0, b""), (0x7FFFFFFF, b""), (0xFFFFFFF0, b"")):
        data = head + struct.pack("<I", told) + sound + follows
        for size in (7, 1000, len(data)):
            pieces = [data[start : start + size] for start in range(0, len(data), size)]
            assert is_tone(await speak(Answer(pieces, kind="audio/wav")), 1.0)


@pytest.mark.parametrize("before", [[], [b"\0" * 4800]])
async def test_a_silent_server_is_a_timeout(before: list[bytes | float]) -> None:
    server = OpenAIAudioServer(Answer([*before, 5.0], kind="audio/pcm"))
    async with connected(server, patience=0.3) as engine:
        with pytest.raises(EngineTimeout, match=r"nothing from the server for 0\.3 s"):
            await collect(engine)
        async with asyncio.timeout(2):
            await server.disconnected.wait()


@pytest.mark.parametrize("phrase", ["", " \n"])
async def test_a_phrase_without_words_is_not_asked_for(phrase: str) -> None:
    server = OpenAIAudioServer(sound())
    async with connected(server) as engine:
        assert not (await collect(engine, phrase)).size
    assert not server.requests


async def test_a_server_may_have_nothing_to_say_for_no_word() -> None:
    async with connected(OpenAIAudioServer(Answer([], kind="audio/pcm"))) as engine:
        assert not (await collect(engine, "...")).size


@pytest.mark.parametrize(("listed", "expected"), [
    (["af_bella", "bm_george", "af_bella", "zf_xiaoxiao", "mine"],
     (Voice("af_bella", "en-US", "female"), Voice("bm_george", "en-GB", "male"),
      Voice("zf_xiaoxiao", "zh", "female"), Voice("mine", "mul"))),
    ([{"id": "af_heart", "name": "af_heart", "language": "en-us", "gender": "female"},
      {"name": "amy", "language": "en_GB"}, {"id": "v1", "name": "Warm", "gender": 3}, {}, 4, None,
      {"id": ""}],
     (Voice("af_heart", "en-US", "female"), Voice("amy", "en-GB"), Voice("v1", "mul", "", "Warm"))),
])  # fmt: skip
@pytest.mark.parametrize("wrap", ["voices", "data", ""])
async def test_a_servers_own_list_of_voices_is_told(
    listed: list[Any], expected: tuple[Voice, ...], wrap: str
) -> None:
    body = json.dumps({wrap: listed} if wrap else listed).encode()
    async with connected(OpenAIAudioServer(voices=Answer([body]))) as engine:
        assert await engine.voices() == expected


@pytest.mark.parametrize(
    "answer", [refusal(404), refusal(405), Answer([b"{}"]), Answer([b"not json"]), Answer([b'{"voices": 3}'])]
)
async def test_without_a_list_the_known_voices_are_told(answer: Answer) -> None:
    async with connected(OpenAIAudioServer(voices=answer)) as engine:
        voices = await engine.voices()
        assert Voice("nova", "mul", "female") in voices
        assert len(voices) == 13
    async with connected(OpenAIAudioServer(voices=answer), voice="my_own") as engine:
        assert await engine.voices() == (Voice("my_own", "mul"),)


@pytest.mark.parametrize("answer", [refusal(500), refusal(401), Answer([b"{"], missing=1)])
async def test_a_list_of_voices_may_fail(answer: Answer) -> None:
    async with connected(OpenAIAudioServer(voices=answer)) as engine:
        with pytest.raises(EngineError):
            await engine.voices()


async def test_openais_own_voices_need_no_request() -> None:
    engine = OpenAICompatibleSynthesiser(settings_for(""))
    assert [voice.name for voice in await engine.voices()][:2] == ["alloy", "ash"]


async def test_mistakes_are_found_at_the_start() -> None:
    with pytest.raises(EngineUnavailable, match=r"404.*TRUNKLINE_ENGINES__OPENAI_TTS__BASE_URL"):
        async with connected(OpenAIAudioServer(probe=refusal(404))):
            pass
    with pytest.raises(EngineUnavailable, match="OPENAI_TTS__MODEL"):
        await OpenAICompatibleSynthesiser(settings_for("http://127.0.0.1:9/v1", model="")).start()


async def test_an_engine_that_is_closed_says_so() -> None:
    async with connected(OpenAIAudioServer(Answer([b"\0" * 4800, 5.0], kind="audio/pcm"))) as engine:
        speech = engine.speak(PHRASE, VOICE)
        await anext(speech)
        await engine.close()
        with pytest.raises(EngineError):
            async for _ in speech:
                pass
        with pytest.raises(EngineError, match="not started, or closed"):
            await collect(engine)


async def test_a_phrase_that_comes_at_once_does_not_stop_the_loop(addresses: Addresses) -> None:
    async with started(OpenAICompatibleSynthesiser(settings_for(addresses.audio))) as engine:
        ten_seconds = "x" * 200

        async def work() -> None:
            await asyncio.gather(*(collect(engine, ten_seconds) for _ in range(2)))

        await work()  # fills the plans of the resampler
        await never_stalls(work)
