from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from app.engines.errors import EngineError, EngineTimeout, EngineUnavailable, RequestRefused
from app.engines.ports import SpeechChunk, VoiceSpec, WordMark
from app.engines.tts.edge import EdgeSynthesiser
from config.engines import EdgeSettings
from tests.peers.edge_server import (
    CLOSE,
    RATE,
    EdgeServer,
    Raw,
    Spoken,
    Step,
    audio,
    boundary,
    encode,
    speech,
)

VOICE = VoiceSpec()


@asynccontextmanager
async def speaking(
    server: EdgeServer, *, voice: str = "", timeout_seconds: float = 10.0
) -> AsyncIterator[EdgeSynthesiser]:
    async with server.running():
        engine = EdgeSynthesiser(EdgeSettings(url=server.url, voice=voice, timeout_seconds=timeout_seconds))
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()


async def collect(engine: EdgeSynthesiser, phrase: str, voice: VoiceSpec = VOICE) -> list[SpeechChunk]:
    return [chunk async for chunk in engine.speak(phrase, voice)]


def answering(*steps: Step) -> EdgeServer:
    """Sends this, whatever is asked."""
    return EdgeServer(answer=lambda text: steps)


def bursts(seconds: Iterable[float], length: float) -> bytes:
    """MP3 with a burst of 50 ms at each of these times."""
    samples = np.zeros(round(length * RATE), dtype=np.int16)
    for at in seconds:
        begin, count = round(at * RATE), RATE // 20
        samples[begin : begin + count] = 12_000 * np.sin(2 * np.pi * 1000 / RATE * np.arange(count))
    return encode(samples)


def marks(chunks: list[SpeechChunk]) -> list[WordMark]:
    return [mark for chunk in chunks for mark in chunk.words]


def assert_marked_in_their_pieces(chunks: list[SpeechChunk]) -> None:
    begin, last = 0, (-1, -1)
    for chunk in chunks:
        for mark in chunk.words:
            assert begin <= mark.sample < begin + chunk.samples.size
            assert mark.char > last[0]
            assert mark.sample >= last[1]
            last = (mark.char, mark.sample)
        begin += chunk.samples.size


async def test_the_first_audio_leaves_soon_after_the_first_bytes() -> None:
    mp3 = bursts([0.0], 1.0)
    server = answering(mp3[:720], 2.0, mp3[720:])
    async with speaking(server) as engine:
        took = []
        for _ in range(5):
            server.first_sent = 0.0
            sound = engine.speak("Hello.", VOICE)
            chunk = await anext(sound)
            took.append(asyncio.get_running_loop().time() - server.first_sent)
            assert chunk.samples.size
            await sound.aclose()
    assert min(took) < 0.06


async def test_marks_stand_where_the_words_are_heard() -> None:
    times = [0.2, 0.7, 1.3]
    mp3 = bursts(times, 2.0)
    words = [Spoken(word, at) for word, at in zip(("one", "two", "three"), times, strict=True)]
    async with speaking(answering(*words, *(mp3[at : at + 500] for at in range(0, len(mp3), 500)))) as engine:
        chunks = await collect(engine, "One, two, three.")
    assert_marked_in_their_pieces(chunks)
    loud = np.abs(np.concatenate([chunk.samples for chunk in chunks])) > 3000
    assert [mark.char for mark in marks(chunks)] == [0, 5, 10]
    for mark in marks(chunks):
        begin = max(0, mark.sample - 800)
        onset = begin + int(np.argmax(loud[begin : mark.sample + 800]))
        assert abs(onset - mark.sample) < 40  # 5 ms


async def test_a_mark_that_comes_after_its_audio_stands_at_the_next_piece() -> None:
    mp3 = bursts([0.1, 0.6], 1.0)
    half = len(mp3) // 2
    steps = (mp3[:half], Spoken("one", 0.1), Spoken("two", 0.6), mp3[half:], Spoken("three", 0.99))
    async with speaking(answering(*steps)) as engine:
        chunks = await collect(engine, "One two three")
    assert_marked_in_their_pieces(chunks)
    first, second, _ = marks(chunks)
    assert first.sample == chunks[0].samples.size
    assert second.sample == 4800


async def test_a_mark_after_the_end_stands_at_the_last_sample() -> None:
    steps = (bursts([0.1], 0.5), Spoken("one", 0.1), Spoken("two", 9.0))
    async with speaking(answering(*steps)) as engine:
        chunks = await collect(engine, "One two")
    assert_marked_in_their_pieces(chunks)
    assert marks(chunks)[-1].sample == sum(chunk.samples.size for chunk in chunks) - 1


@pytest.mark.parametrize("phrase", [
    "Ben & Jerry's <b>\"5 > 3\"</b>", "Müller, 北京, привет.", "]]>", "a\vb\0c", "&amp; stays &amp;",
])  # fmt: skip
async def test_the_service_is_sent_the_phrase_as_it_is(phrase: str) -> None:
    said: list[str] = []

    def answer(text: str) -> Iterable[Step]:
        said.append(text)
        return speech("word")

    async with speaking(EdgeServer(answer=answer)) as engine:
        await collect(engine, phrase)
    assert said == ["".join(" " if char < "\t" or char == "\v" else char for char in phrase)]


async def test_the_request_names_voice_rate_and_pitch() -> None:
    server = EdgeServer()
    async with speaking(server) as engine:
        await collect(engine, "Hello.", VoiceSpec("en-US-GuyNeural", rate=1.1, pitch=0.9))
        await collect(engine, "Hello.", VoiceSpec("zh-CN-liaoning-XiaobeiNeural", rate=9.0))
    first, second = server.requests
    assert "Voice (en-US, GuyNeural)'" in first
    assert "pitch='-12Hz' rate='+10%'" in first
    assert "Voice (zh-CN-liaoning, XiaobeiNeural)'" in second
    assert "pitch='+0Hz' rate='+100%'" in second
    assert all('"wordBoundaryEnabled":"true"' in config for config in server.configs)


@pytest.mark.parametrize(("language", "setting", "name"), [
    ("en-US", "", "(en-US, EmmaMultilingualNeural)"),  # the list's first one is a cartoon's
    ("en-GB", "", "(en-US, EmmaMultilingualNeural)"),
    ("de-AT", "", "(de-DE, KatjaNeural)"),
    ("de", "en-US-GuyNeural", "(en-US, GuyNeural)"),
])  # fmt: skip
async def test_a_language_has_its_voice(language: str, setting: str, name: str) -> None:
    server = EdgeServer()
    async with speaking(server, voice=setting) as engine:
        await collect(engine, "Hello.", VoiceSpec(language=language))
    assert name in server.requests[0]


async def test_a_language_without_a_voice_and_a_name_that_is_none_are_refused() -> None:
    server = EdgeServer()
    async with speaking(server) as engine:
        with pytest.raises(RequestRefused, match="TRUNKLINE_ENGINES__EDGE__VOICE") as caught:
            await collect(engine, "Hello.", VoiceSpec(language="xx-XX"))
        assert not caught.value.retryable
        for name in ("nobody", "en-US-x'/><evil Neural"):
            with pytest.raises(RequestRefused, match="no voice"):
                await collect(engine, "Hello.", VoiceSpec(name))
    assert not server.requests


@pytest.mark.parametrize(("steps", "refused"), [
    ((), True), ((Spoken("Hello", 0.1),), True),
    ((CLOSE,), False), ((Raw("nonsense"),), False), ((9.0,), False),
])  # fmt: skip
async def test_only_silence_is_the_answer_to_an_unknown_voice(steps: tuple[Step, ...], refused: bool) -> None:
    server = answering(*steps)
    async with speaking(server, timeout_seconds=0.3) as engine:
        server.voices = ""  # any is spoken
        with pytest.raises(EngineError) as caught:
            await collect(engine, "Hello.", VoiceSpec("en-US-NewNeural"))
    assert isinstance(caught.value, RequestRefused) is refused


async def test_a_service_that_is_gone_is_not_the_fault_of_the_voice() -> None:
    server = EdgeServer(voices_status=500)
    async with server.running():
        engine = EdgeSynthesiser(EdgeSettings(url=server.url))
        await engine.start()
    try:
        for _ in range(2):  # the first finds the connection that was opened ahead
            with pytest.raises(EngineError) as caught:
                await collect(engine, "Hello.", VoiceSpec("en-US-GuyNeural"))
            assert caught.value.retryable
    finally:
        await engine.close()


async def test_the_list_of_voices() -> None:
    async with speaking(EdgeServer()) as engine:
        voices = {voice.name: voice for voice in await engine.voices()}
    assert len(voices) == 5
    guy = voices["en-US-GuyNeural"]
    assert (guy.language, guy.gender) == ("en-US", "male")
    assert guy.title == "Microsoft GuyNeural Online (Natural)"


@pytest.mark.parametrize("server", [
    EdgeServer(voices_status=500), EdgeServer(voices="no json"), EdgeServer(voices='[{"a": 1}]'),
    EdgeServer(voices='{"a": 1}'), EdgeServer(voices="[1]"),
])  # fmt: skip
async def test_without_the_list_some_voices_are_known(server: EdgeServer) -> None:
    async with speaking(server) as engine:
        assert "en-GB-SoniaNeural" in {voice.name for voice in await engine.voices()}
        assert await collect(engine, "Guten Tag.", VoiceSpec(language="de-DE"))
    assert "(de-DE, KatjaNeural)" in server.requests[0]


async def test_a_connection_is_open_before_its_phrase_comes() -> None:
    server = EdgeServer(open_after=0.5)
    async with speaking(server) as engine:
        for _ in range(2):
            began = asyncio.get_running_loop().time()
            assert await collect(engine, "Hello.")
            assert asyncio.get_running_loop().time() - began < 0.4
            await asyncio.sleep(0.8)
        assert server.open == 1


async def test_a_connection_that_was_dropped_while_it_waited_is_not_used() -> None:
    server = EdgeServer(drop_waiting_after=0.2)
    async with speaking(server) as engine:
        await asyncio.sleep(0.5)
        assert await collect(engine, "Hello.")


async def test_a_closed_phrase_drops_its_connection() -> None:
    mp3 = bursts([0.0], 1.0)
    server = answering(mp3, 30.0)
    async with speaking(server) as engine:
        sound = engine.speak("Hello.", VOICE)
        await anext(sound)
        server.disconnected.clear()
        await sound.aclose()
        async with asyncio.timeout(1):
            await server.disconnected.wait()


MP3 = bursts([0.0], 1.0)
NONSENSE = "see TRUNKLINE_ENGINES__EDGE__URL"


@pytest.mark.parametrize(("steps", "message"), [
    ((b"garbage" * 1000,), "cannot be decoded"),
    ((MP3[:500], b"\xff\xf3" + b"garbage" * 1000), "cannot be decoded"),
    ((MP3[:500], CLOSE), "closed the connection"),
    ((CLOSE,), "closed the connection"),
    ((), "no audio came for voice"),
    ((Spoken("Hello", 0.1),), "no audio came for voice"),
    ((Raw(b""),), NONSENSE),
    ((Raw(b"\xff\xff"),), NONSENSE),
    ((Raw(b"\0\3abcd"),), NONSENSE),
    ((Raw(audio(MP3).replace(b"audio/mpeg", b"text/plain")),), NONSENSE),
    ((Raw("nonsense"),), NONSENSE),
    ((Raw("nonsense\r\n\r\n"),), NONSENSE),
    ((Raw("Path:audio.metadata\r\n\r\n{}"),), NONSENSE),
    ((Raw("Path:audio.metadata\r\n\r\n["),), NONSENSE),
    ((Raw(boundary("x", 0).replace('"Text"', '"Test"')),), NONSENSE),
    ((Raw(boundary("x", 0).replace('"Offset": 0', '"Offset": "soon"')),), NONSENSE),
])  # fmt: skip
async def test_what_the_service_does_wrong_is_an_error_of_this_phrase_alone(
    steps: tuple[Step, ...], message: str
) -> None:
    def answer(text: str) -> Iterable[Step]:
        return steps if text == "Hello." else speech(text)

    async with speaking(EdgeServer(answer=answer)) as engine, asyncio.timeout(5):
        with pytest.raises(EngineError, match=message) as caught:
            await collect(engine, "Hello.")
        assert caught.value.retryable
        assert await collect(engine, "Goodbye.")


async def test_messages_that_are_not_known_are_passed_over() -> None:
    news = (Raw("X-RequestId:1\r\nPath:news\r\n\r\n{}"), Raw('Path:audio.metadata\r\n\r\n{"Metadata": []}'))
    session = Raw('Path:audio.metadata\r\n\r\n{"Metadata": [{"Type": "SessionEnd", "Data": {}}]}')
    async with speaking(answering(*news, session, MP3)) as engine:
        assert await collect(engine, "Hello.")


@pytest.mark.parametrize("steps", [(30.0,), (MP3[:500], 30.0), (MP3[:500], *([Spoken("a", 0.0), 0.1] * 99))])
async def test_silence_is_a_timeout(steps: tuple[Step, ...]) -> None:
    async with speaking(answering(*steps), timeout_seconds=0.4) as engine, asyncio.timeout(5):
        with pytest.raises(EngineTimeout, match=r"no audio for 0\.4 s"):
            await collect(engine, "Hello.")


async def test_a_slow_reader_is_no_timeout() -> None:
    async with speaking(EdgeServer(), timeout_seconds=0.4) as engine:
        async for _ in engine.speak("one two", VOICE):
            await asyncio.sleep(0.5)


async def test_a_long_phrase_goes_in_several_requests() -> None:
    phrase = "word " * 2000
    server = EdgeServer()
    async with speaking(server) as engine:
        chunks = await collect(engine, phrase)
    assert len(server.requests) == 3
    assert_marked_in_their_pieces(chunks)
    assert len(marks(chunks)) == 2000


async def test_phrases_end_with_an_error_when_the_engine_closes() -> None:
    async with speaking(answering(MP3, 30.0)) as engine:
        sound = engine.speak("Hello.", VOICE)
        await anext(sound)
        waiting = asyncio.create_task(collect(engine, "Hello."))
        await asyncio.sleep(0.1)
        await engine.close()
        async with asyncio.timeout(5):
            with pytest.raises(EngineError):
                async for _ in sound:
                    pass
            with pytest.raises(EngineError):
                await waiting
        with pytest.raises(EngineError, match="not started"):
            await collect(engine, "Hello.")


async def test_a_phrase_on_an_old_connection_ends_with_an_error_when_the_engine_closes() -> None:
    server = EdgeServer(begin_after=30.0)
    async with speaking(server) as engine:
        await asyncio.sleep(0.6)  # the connection may be lost: the phrase is asked for once more
        waiting = asyncio.create_task(collect(engine, "Hello."))
        while not server.requests:
            await asyncio.sleep(0.01)
        await engine.close()
        async with asyncio.timeout(5):
            with pytest.raises(EngineError, match="closed"):
                await waiting


async def test_a_token_of_another_time_is_corrected_by_the_services_clock() -> None:
    server = EdgeServer(refusals=1)
    async with speaking(server) as engine:
        assert await collect(engine, "Hello.")
    assert server.refusals == 0


@pytest.mark.parametrize(("status", "message", "retryable"), [
    (403, "refuses the connection .403.*make engines", True),
    (401, "refuses the connection .401", True),
    (404, "no speech service.*TRUNKLINE_ENGINES__EDGE__URL", False),
    (429, "answers 429", True),
    (503, "answers 503.*TRUNKLINE_ENGINES__EDGE__URL", True),
])  # fmt: skip
async def test_a_refusal_is_found_at_the_start(status: int, message: str, retryable: bool) -> None:
    with pytest.raises(EngineUnavailable, match=message) as caught:
        async with speaking(EdgeServer(refusals=99, refusal=status)):
            pass
    assert caught.value.retryable is retryable
    assert "Sec-MS-GEC" not in str(caught.value)


@pytest.mark.parametrize(("url", "message", "retryable"), [
    ("ws://127.0.0.1:1/edge/v1", "no connection to 127.0.0.1:1 .*TRUNKLINE_ENGINES__EDGE__URL", True),
    ("ws://nowhere.invalid/edge/v1", "nowhere.invalid.*TRUNKLINE_ENGINES__EDGE__URL", True),
    ("https://127.0.0.1/", "must begin with ws:// or wss://", False),
    ("ws://127.0.0.1:99999/", "TRUNKLINE_ENGINES__EDGE__URL is no address", False),
    ("ws:///edge", "TRUNKLINE_ENGINES__EDGE__URL is no address", False),
])  # fmt: skip
async def test_a_wrong_address_is_found_at_the_start(url: str, message: str, retryable: bool) -> None:
    engine = EdgeSynthesiser(EdgeSettings(url=url, timeout_seconds=5.0))
    async with asyncio.timeout(15):
        with pytest.raises(EngineUnavailable, match=message) as caught:
            await engine.start()
    assert caught.value.retryable is retryable


async def test_a_wrong_voice_and_a_service_that_is_silent_are_found_at_the_start() -> None:
    with pytest.raises(EngineUnavailable, match="TRUNKLINE_ENGINES__EDGE__VOICE"):
        await EdgeSynthesiser(EdgeSettings(voice="alloy")).start()
    with pytest.raises(EngineUnavailable, match=r"no answer from 127\.0\.0\.1") as caught:
        async with speaking(EdgeServer(open_after=2.0), timeout_seconds=0.3):
            pass
    assert caught.value.retryable


@pytest.mark.parametrize(("module", "message"), [
    ("edge_tts", "edge-tts is not installed; run 'make engines'"),
    ("av", "av is not installed; run 'make engines'"),
])  # fmt: skip
async def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, module: str, message: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EngineUnavailable, match=message):
        await EdgeSynthesiser(EdgeSettings()).start()


async def test_a_library_that_has_changed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_tts import communicate

    monkeypatch.delattr(communicate, "mkssml")
    with pytest.raises(EngineUnavailable, match=r"edge-tts 7\.\d.* differs .*mkssml.*make engines"):
        await EdgeSynthesiser(EdgeSettings()).start()
