from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import numpy as np
import pytest

from app.engines.errors import EngineError, EngineTimeout, EngineUnavailable, RequestRefused
from app.engines.languages import nearest, root, tag
from app.engines.ports import LOST, RecognitionHints, Transcript, Voice, VoiceSpec
from app.engines.stt.wyoming import WyomingRecogniser
from app.engines.tts.wyoming import WyomingSynthesiser
from app.engines.wyoming import Address
from app.engines.wyoming_events import Event, ProtocolError, Unpacker, pack
from bench.caller import Caller, dropped_seconds
from config.engines import WyomingSettings
from telephony.media.frame import Samples
from tests.contracts.probe import leaves_nothing
from tests.peers.openai_audio import tone
from tests.peers.wyoming_server import (
    AudioChunk,
    AudioStart,
    AudioStop,
    Info,
    RawServer,
    WyomingServer,
    asr,
    failure,
    spoken,
    tts,
)

HINTS = RecognitionHints("en-GB", ("where is my parcel", "opening hours"))
SPEECH = tone(1.0, 8000)
PHRASE = "Your parcel is on its way."
VOICE = VoiceSpec()
CHUNK = AudioChunk(16_000, 2, 1, bytes(3200))
INFO = pack(Event("info", {"asr": [{"name": "x"}], "tts": [{"name": "y"}]}))


@asynccontextmanager
async def recogniser(
    server: WyomingServer | RawServer, patience: float = 5.0
) -> AsyncIterator[WyomingRecogniser]:
    async with server.running():
        engine = WyomingRecogniser(WyomingSettings(stt_url=server.url, timeout_seconds=patience))
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()


@asynccontextmanager
async def synthesiser(
    server: WyomingServer | RawServer, patience: float = 5.0
) -> AsyncIterator[WyomingSynthesiser]:
    async with server.running():
        engine = WyomingSynthesiser(WyomingSettings(tts_url=server.url, timeout_seconds=patience))
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()


async def collect(engine: WyomingSynthesiser, phrase: str = PHRASE, voice: VoiceSpec = VOICE) -> Samples:
    pieces = [chunk.samples async for chunk in engine.speak(phrase, voice)]
    return np.concatenate([np.empty(0, np.int16), *pieces])


async def test_a_segment_is_heard_at_16_khz_while_it_is_spoken() -> None:
    server = WyomingServer(texts=[" Where  is it? "])
    async with recogniser(server) as engine:
        caller = Caller(engine, HINTS)
        caller.stream.push(SPEECH[:4000])
        async with asyncio.timeout(5):
            while not server.formats:
                await asyncio.sleep(0.01)
        caller.speak(SPEECH[4000:])
        (final,) = await caller.until(1)
    assert final == Transcript("Where is it?", final=True, language="en-US")
    assert server.formats == {(16_000, 2, 1)}
    (heard,) = server.heard
    samples = np.frombuffer(heard, np.int16)
    assert abs(samples.size - 16_000) < 40
    spectrum = np.abs(np.fft.rfft(samples[1000:15_000].astype(float)))
    assert abs(np.argmax(spectrum) * 16_000 / 14_000 - 440) < 2
    (request,) = server.requests
    assert request.language == "en"
    assert request.transcript_terms == ["where is my parcel", "opening hours"]


@pytest.mark.parametrize("keeps_open", [False, True])
async def test_finals_come_in_order_over_connections_of_their_own(keeps_open: bool) -> None:
    server = WyomingServer(texts=["one", "two", "three"], keeps_open=keeps_open)
    async with recogniser(server) as engine:
        caller = Caller(engine, HINTS)
        caller.speak(SPEECH)
        caller.stream.finish_segment()
        caller.speak(SPEECH[:300])
        caller.speak(SPEECH)
        caller.speak(SPEECH)
        assert sorted(final.text for final in await caller.until(5)) == ["", "", "one", "three", "two"]
        assert [bool(final.text) for final in caller.finals] == [True, False, False, True, True]
    assert server.connections == 4  # with the one that asked what it offers


async def test_transcripts_that_stream_are_interims() -> None:
    server = WyomingServer(texts=["where is my parcel"], streams=True)
    async with recogniser(server) as engine:
        caller = Caller(engine, HINTS)
        caller.speak(SPEECH)
        await caller.until(1)
    assert [heard.text for heard in caller.heard] == [
        "where", "where is", "where is my", "where is my parcel", "where is my parcel",
    ]  # fmt: skip
    assert caller.heard[-1] == Transcript("where is my parcel", final=True, language="en-US")


async def test_a_server_that_finds_the_end_itself_waits_for_ours() -> None:
    server = WyomingServer(texts=["goodbye", "thank you"], early=16_000)
    async with recogniser(server) as engine:
        caller = Caller(engine, HINTS)
        caller.stream.push(SPEECH[:4800])
        await heard_early(caller)
        await asyncio.sleep(0.05)
        assert caller.heard == [Transcript("goodbye", final=False)]
        caller.stream.push(SPEECH[:1600])  # the pause that ends a segment
        caller.stream.finish_segment()
        assert (await caller.until(1))[0] == Transcript("goodbye", final=True, language="en-US")
    assert len(server.heard) == 1


async def test_what_is_said_after_the_servers_own_end_is_heard_too() -> None:
    server = WyomingServer(texts=["goodbye", "no wait", "where is it", ""], early=16_000)
    async with recogniser(server) as engine:
        caller = Caller(engine, HINTS)
        before = dropped_seconds(engine)
        for count in range(1, 4):
            for begin in range(0, 4800, 160):
                caller.stream.push(SPEECH[begin : begin + 160])
            await heard_early(caller, count)
        caller.speak(SPEECH[:1680])  # nothing but a longer pause, for all that the server hears
        (final,) = await caller.until(1)
        assert dropped_seconds(engine) == before
    assert final == Transcript("goodbye no wait where is it", final=True, language="en-US")
    assert caller.interims == ["goodbye", "goodbye no wait", "goodbye no wait where is it"]
    assert [len(heard) / 32_000 for heard in server.heard] == pytest.approx([0.6, 0.6, 0.6, 0.21], abs=0.01)


async def test_interims_go_on_after_the_servers_own_end() -> None:
    server = WyomingServer(texts=["goodbye", "where is it"], early=16_000, streams=True)
    async with recogniser(server) as engine:
        caller = Caller(engine, HINTS)
        caller.stream.push(SPEECH[:4800])
        async with asyncio.timeout(5):
            while not server.heard:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        caller.speak(SPEECH[:4000])
        await caller.until(1)
    assert caller.interims[-3:] == ["goodbye where", "goodbye where is", "goodbye where is it"]
    assert caller.finals[0].text == "goodbye where is it"


async def test_a_server_that_fails_after_its_own_end_loses_the_whole_segment() -> None:
    server = RawServer([INFO])
    async with recogniser(server) as engine:
        server.pieces = [0.02, pack(Event("transcript", {"text": "goodbye"}))]
        caller = Caller(engine, HINTS)
        caller.stream.push(SPEECH)
        await heard_early(caller)
        server.pieces = []
        caller.speak(SPEECH)
        assert await caller.until(1) == [LOST]


async def heard_early(caller: Caller, count: int = 1) -> None:
    async with asyncio.timeout(5):
        while len(caller.heard) < count:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("answer", [
    [],
    [pack(Event("error", {"text": "no model"}))],
    [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    [b"[]\n"], [b"{}\n"], [b'{"type": 3}\n'], [b'{"type": "x", "data": []}\n'], [b"\xff\n"],
    [b'{"type": "x", "data_length": -1}\n'], [b'{"type": "x", "data_length": "9"}\n'],
    [b'{"type": "x", "payload_length": 1e99}\n'], [b'{"type": "x", "payload_length": 99999999999}\n'],
    [b'{"type": "transcript", "data_length": 3}\n{]}'],
    [b'{"type": "transcript", "data_length": 300}\n{'],
    [b"[" * 100_000 + b"\n"],
])  # fmt: skip
async def test_what_fails_is_lost_at_the_end_of_its_segment(answer: list[bytes | float]) -> None:
    server = RawServer([INFO])
    async with recogniser(server) as engine:
        server.pieces = answer
        caller = Caller(engine, HINTS)
        caller.stream.push(SPEECH)
        await asyncio.sleep(0.05)
        caller.stream.push(SPEECH)
        assert not caller.heard
        caller.stream.finish_segment()
        assert await caller.until(1) == [LOST]
        caller.speak(SPEECH)
        assert await caller.until(2) == [LOST, LOST]
        server.pieces = [0.05, pack(Event("transcript", {"text": "hello"}))]
        caller.speak(SPEECH)
        assert (await caller.until(3))[2].text == "hello"


async def test_a_server_that_is_gone_loses_segments_at_once() -> None:
    server = WyomingServer()
    async with recogniser(server) as engine:
        pass
    caller = Caller(engine, HINTS)
    began = time.perf_counter()
    caller.speak(SPEECH)
    assert await caller.until(1) == [LOST]
    assert time.perf_counter() - began < 1.0
    await caller.stream.close()


async def test_a_silent_server_loses_the_segment_in_time() -> None:
    server = RawServer([INFO])
    async with recogniser(server, patience=0.3) as engine:
        server.pieces = [5.0]
        caller = Caller(engine, HINTS)
        caller.stream.push(SPEECH)
        await asyncio.sleep(0.5)  # longer than the patience: the caller still speaks
        assert not caller.heard
        caller.stream.finish_segment()
        assert await caller.until(1) == [LOST]


async def test_closing_a_stream_closes_its_connections_at_once() -> None:
    server = WyomingServer(answer_after=0.2)
    async with recogniser(server) as engine:
        caller = Caller(engine, HINTS)
        caller.speak(SPEECH)
        caller.stream.push(SPEECH)
        async with asyncio.timeout(5):
            while server.open < 2:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(0.1):
            await caller.stream.close()
        async with asyncio.timeout(2):
            while server.open:
                await asyncio.sleep(0.01)
        caller.speak(SPEECH)
        await asyncio.sleep(0.05)
        assert not caller.heard


async def test_audio_that_a_server_does_not_take_is_dropped_and_counted() -> None:
    server = RawServer([INFO])
    async with recogniser(server) as engine:
        server.pieces, server.reads = [60.0], False
        caller = Caller(engine, HINTS)
        before = dropped_seconds(engine)
        for _ in range(200):
            caller.stream.push(np.tile(SPEECH, 2))
            await asyncio.sleep(0)
        assert dropped_seconds(engine) - before > 100.0


async def test_a_language_that_the_server_lacks_is_found_before_the_call() -> None:
    server = WyomingServer(info=Info(asr=[asr("de", "en_US")]))
    async with recogniser(server) as engine:
        await engine.prepare(RecognitionHints("en-GB"))
        with pytest.raises(RequestRefused, match="understands de, en_US, not 'fr-FR'"):
            await engine.prepare(RecognitionHints("fr-FR"))
        with pytest.raises(RequestRefused, match="understands de, en_US, not 'fr-FR'"):
            Caller(engine, RecognitionHints("fr-FR"))
        caller = Caller(engine, HINTS)
        caller.speak(SPEECH)
        await caller.until(1)
    assert server.requests[0].language == "en_US"


@pytest.mark.parametrize(("setting", "make"), [
    ("STT_URL", lambda url: WyomingRecogniser(WyomingSettings(stt_url=url, timeout_seconds=0.5))),
    ("TTS_URL", lambda url: WyomingSynthesiser(WyomingSettings(tts_url=url, timeout_seconds=0.5))),
])  # fmt: skip
async def test_mistakes_are_found_at_the_start(setting: str, make: Any) -> None:
    setting = f"TRUNKLINE_ENGINES__WYOMING__{setting}"
    for url in (
        "", "http://127.0.0.1:9", "tcp://127.0.0.1", "tcp://:9", "127.0.0.1:9", "tcp://x:99999",
        "tcp://a..b:9", "tcp://.local:9", f"tcp://{'x' * 64}:9",
    ):  # fmt: skip
        with pytest.raises(EngineUnavailable, match=f"set {setting} to tcp://HOST:PORT") as caught:
            await make(url).start()
        assert not caught.value.retryable
    with pytest.raises(EngineUnavailable, match=f"tcp://127.0.0.1:9: no connection.*{setting}") as caught:
        await make("tcp://127.0.0.1:9").start()
    assert caught.value.retryable
    cases: list[tuple[Sequence[bytes | float], str, bool]] = [
        ([5.0], "does not say what it offers", True),
        ([], "closes the connection before", False),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "no Wyoming", False),
        ([pack(Event("info", {"asr": [], "tts": "x", "wake": [{}]}))], "no asr|no tts", False),
    ]
    for pieces, words, retryable in cases:
        async with RawServer(pieces).running() as server:
            with pytest.raises(EngineUnavailable, match=words) as caught:
                await make(server.url).start()
        assert setting in str(caught.value)
        assert caught.value.retryable is retryable


async def test_a_server_that_cannot_be_reached_is_not_called_silent() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        place = server.getsockname()
        with socket.create_connection(place):  # all that it lets wait; it accepts none
            url = f"tcp://127.0.0.1:{place[1]}"
            for _ in range(3):
                with pytest.raises(EngineUnavailable, match="no connection to the server"):
                    await WyomingRecogniser(WyomingSettings(stt_url=url, timeout_seconds=0.2)).start()


@pytest.mark.parametrize("host", ["[::1]", "[fe80::1234:5678:9abc:def0]", "localhost", "my_server", "x" * 63])
def test_hosts_are_names_and_addresses(host: str) -> None:
    address = Address.of("wyoming", "URL", f"tcp://{host}:10300", 1.0)
    assert (address.host, address.port) == (host.strip("[]"), 10300)


@pytest.mark.parametrize(("rate", "width", "channels"), [
    (22_050, 2, 1), (16_000, 2, 1), (24_000, 2, 2), (48_000, 4, 1), (8_000, 2, 1), (16_000, 1, 1),
])  # fmt: skip
@pytest.mark.parametrize("size", [7, 2048, 10**6])
async def test_audio_of_any_format_becomes_audio_for_the_line(
    rate: int, width: int, channels: int, size: int
) -> None:
    samples = np.repeat(tone(0.5, rate), channels)
    given = {
        1: ((samples >> 8) + 128).astype(np.uint8).tobytes(),
        2: samples.tobytes(),
        4: (samples.astype(np.int32) << 16).tobytes(),
    }
    server = WyomingServer(speech=spoken(given[width], rate, width, channels, size))
    async with synthesiser(server) as engine:
        heard = await collect(engine)
    assert abs(heard.size - 4000) <= 20
    inner = heard[400:-400].astype(float)
    assert abs(np.argmax(np.abs(np.fft.rfft(inner))) * 8000 / inner.size - 440) < 3
    assert abs(np.abs(inner).max() - 8000) < 300


async def test_the_voice_is_the_agents_or_its_language() -> None:
    info = Info(tts=[tts(amy=["en_US"], thorsten=["de_DE"], many=["en_GB", "fr_FR"])])
    server = WyomingServer(info=info, speech=spoken(bytes(3200), 16_000))
    async with synthesiser(server) as engine:
        assert await engine.voices() == (
            Voice("amy", "en-US", "", "The voice amy"),
            Voice("thorsten", "de-DE", "", "The voice thorsten"),
            Voice("many", "mul", "", "The voice many"),
        )
        for voice in (
            VoiceSpec("amy"),
            VoiceSpec("many#7"),
            VoiceSpec(language="de-AT"),
            VoiceSpec(language="es"),
        ):
            await collect(engine, "\ud800 a", voice)
    asked = [request.voice.__dict__ if request.voice else {} for request in server.asked]
    assert asked == [
        {"name": "amy", "language": None, "speaker": None},
        {"name": "many", "language": None, "speaker": "7"},
        {"name": None, "language": "de_DE", "speaker": None},
        {"name": None, "language": "es", "speaker": None},
    ]
    assert server.asked[0].text == "? a"


@pytest.mark.parametrize(("speech", "words", "retryable"), [
    ([failure(f"no voice for {PHRASE}")], "reports: an error$", True),
    ([failure(f"cannot say {PHRASE[:20].upper()}...")], "reports: an error$", True),
    ([AudioStart(16_000, 2, 1), CHUNK, failure("out of memory")], "out of memory", True),
    ([AudioStart(16_000, 2, 1), CHUNK], "in the middle of the phrase", True),
    ([], "in the middle of the phrase", True),
    ([AudioStop()], "sent no audio", True),
    ([AudioStart(16_000, 2, 1), AudioStop()], "sent no audio", True),
    ([AudioStart(16_000, 3, 1), AudioStop()], "24 bits", False),
    ([AudioStart(0, 2, 1), AudioStop()], "0 Hz", False),
    ([AudioStart(16_000, 2, 0), AudioStop()], "0 channels", False),
])  # fmt: skip
async def test_speech_that_fails_says_why(speech: Any, words: str, retryable: bool) -> None:
    server = WyomingServer(speech=speech)
    async with synthesiser(server) as engine:
        with pytest.raises(EngineError, match=words) as caught:
            await collect(engine)
        server.speech = spoken(bytes(3200), 16_000)
        assert (await collect(engine)).size
    assert caught.value.retryable is retryable


@pytest.mark.parametrize(("speech", "refused"), [
    ([], True),
    ([failure("bad voice")], True),
    ([AudioStop()], True),
    ([AudioStart(16_000, 2, 1), AudioStop()], True),
    ([AudioStart(16_000, 2, 1), CHUNK], False),
    ([AudioStart(16_000, 2, 1), CHUNK, failure("out of memory")], False),
    ([AudioStart(0, 2, 1)], False),
    ([5.0], False),
])  # fmt: skip
async def test_only_silence_is_the_answer_to_an_unknown_voice(speech: Any, refused: bool) -> None:
    offer, info = [tts(zoe=["en_US"])], Info(tts=[tts(amy=["en_US"])])
    server = WyomingServer(info=info, speech=speech)
    async with synthesiser(server, patience=0.2) as engine:
        info.tts = offer  # it has one more since it was asked
        with pytest.raises(EngineError) as caught:
            await collect(engine, voice=VoiceSpec("zoe"))
    assert isinstance(caught.value, RequestRefused) is refused


async def test_a_server_that_is_gone_is_not_the_fault_of_the_voice() -> None:
    async with synthesiser(WyomingServer()) as engine:
        pass
    with pytest.raises(EngineError, match="no connection") as caught:
        await collect(engine, voice=VoiceSpec("zoe"))
    assert caught.value.retryable


@pytest.mark.parametrize("told", [True, False])
async def test_the_format_may_change_within_a_phrase(told: bool) -> None:
    high, low = tone(1.0, 22_050).tobytes(), tone(1.0, 16_000).tobytes()
    speech = [*spoken(high, 22_050)[:-1], *spoken(low, 16_000)[0 if told else 1 :]]
    async with synthesiser(WyomingServer(speech=speech)) as engine:
        heard = await collect(engine)
    assert abs(heard.size - 16_000) < 40


async def test_chunks_without_a_format_are_of_the_last_that_was_told() -> None:
    pieces: list[bytes | float] = []
    for rate in (24_000, 16_000):
        start = {"rate": rate, "width": 2, "channels": 1}
        pieces.append(pack(Event("audio-start", start)))
        pieces.append(pack(Event("audio-chunk", {}, tone(1.0, rate).tobytes())))
    server = RawServer([INFO])
    async with synthesiser(server) as engine:
        server.pieces = [*pieces, pack(Event("audio-stop"))]
        assert abs((await collect(engine)).size - 16_000) < 40


async def test_speech_of_a_silent_server_is_a_timeout() -> None:
    for server in (
        WyomingServer(speech=[5.0]),
        WyomingServer(speech=[AudioStart(16_000, 2, 1), CHUNK, 5.0]),
    ):
        async with synthesiser(server, patience=0.3) as engine:
            with pytest.raises(EngineTimeout, match=r"nothing from the server for 0\.3 s"):
                await collect(engine)
            async with asyncio.timeout(2):
                while server.open:
                    await asyncio.sleep(0.01)


async def test_speech_stops_at_once() -> None:
    server = WyomingServer(speech=[AudioStart(16_000, 2, 1), CHUNK, 5.0])
    async with synthesiser(server) as engine:
        async with aclosing(engine.speak(PHRASE, VOICE)) as speech:
            assert (await anext(speech)).samples.size
            server.disconnected.clear()
            await speech.aclose()
            async with asyncio.timeout(2):
                await server.disconnected.wait()
        speech = engine.speak(PHRASE, VOICE)
        await anext(speech)
        await engine.close()
        with pytest.raises(EngineError, match="in the middle"):
            async for _ in speech:
                pass


async def test_a_phrase_without_words_is_not_asked_for() -> None:
    server = WyomingServer(speech=[AudioStop()])
    async with synthesiser(server) as engine:
        assert not (await collect(engine, " \n")).size
        assert not server.asked
        assert not (await collect(engine, "...")).size


async def test_two_hundred_uses_leave_nothing() -> None:
    server = WyomingServer(speech=spoken(bytes(3200), 16_000))
    async with server.running():
        settings = WyomingSettings(stt_url=server.url, tts_url=server.url)

        async def use() -> None:
            hears, speaks = WyomingRecogniser(settings), WyomingSynthesiser(settings)
            await hears.start()
            await speaks.start()
            callers = [Caller(hears, HINTS) for _ in range(10)]
            for count in range(1, 6):
                for caller in callers:
                    caller.speak(SPEECH)
                for caller in callers:
                    await caller.until(count)
            for number in range(50):
                async for _ in (speech := speaks.speak(PHRASE, VOICE)):
                    if number % 2:
                        break
                await speech.aclose()
            await hears.close()
            await speaks.close()
            async with asyncio.timeout(5):
                while server.open:
                    await asyncio.sleep(0.01)

        await leaves_nothing(use, times=2)


def test_events_may_be_cut_at_any_byte() -> None:
    sent = [
        Event("describe"),
        Event("audio-chunk", {"rate": 16_000}, b"\n{}\n" * 10),
        Event("transcript", {"text": "wh\u00e9re\nis it"}),
        Event("x", {}, b"a"),
    ]
    whole = b"".join(pack(event) for event in sent)
    inline = b'{"type": "info", "data": {"a": 1}, "data_length": 8}\n{"b": 2}'
    for cut in range(len(whole)):
        unpacker = Unpacker()
        assert [*unpacker.feed(whole[:cut]), *unpacker.feed(whole[cut:])] == sent
    unpacker = Unpacker()
    assert [event for byte in inline for event in unpacker.feed(bytes([byte]))] == [
        Event("info", {"a": 1, "b": 2})
    ]


def test_a_line_without_an_end_is_refused() -> None:
    with pytest.raises(ProtocolError, match="without an end"):
        list(Unpacker().feed(b"x" * 5_000_000))


def test_events_are_those_of_the_package() -> None:
    chunk = AudioChunk(16_000, 2, 1, b"abcd").event()
    line, _, rest = pack(Event(chunk.type, chunk.data, chunk.payload or b"")).partition(b"\n")
    head = json.loads(line)
    assert json.loads(rest[: head["data_length"]]) == chunk.data
    assert rest[head["data_length"] :] == b"abcd"
    assert head["payload_length"] == 4


def test_languages_are_found_as_servers_write_them() -> None:
    assert tag("en_us") == "en-US"
    assert [root(language) for language in ("en", "en-US", "EN_us", "zh-Hant_tw", "")] == [
        "en", "en", "en", "zh", "",
    ]  # fmt: skip
    assert tag("zh-Hant_tw") == "zh-Hant-TW"
    offered = ("de", "en_GB", "en", "pt-br")
    assert [nearest(language, offered) for language in ("en-GB", "en-US", "pt-PT", "de-AT", "fr")] == [
        "en_GB", "en", "pt-br", "de", None,
    ]  # fmt: skip
