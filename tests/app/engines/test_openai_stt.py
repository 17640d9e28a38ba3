from __future__ import annotations

import asyncio
import io
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from app.engines.errors import EngineUnavailable
from app.engines.ports import LOST, RecognisedWord, RecognitionHints, Transcript
from app.engines.stt.openai_answer import BadAnswerError, TranscriptionAnswer
from app.engines.stt.openai_compatible import OpenAICompatibleRecogniser
from bench.caller import Caller, dropped_seconds
from config.engines import EngineSettings, OpenAISettings, OpenAISpeechToTextSettings
from telephony.media.frame import Samples
from tests.contracts.probe import leaves_nothing, never_stalls, started
from tests.peers.apart import Addresses
from tests.peers.openai_audio import (
    Answer,
    OpenAIAudioServer,
    Request,
    delta,
    done,
    events,
    refusal,
    streamed,
    tone,
    transcript,
)

KEY = "sk-very-secret"
HINTS = RecognitionHints("en-GB", ("where is my parcel", "opening hours"))
SPEECH = tone(1.0, 8000)


def settings_for(url: str, model: str = "gpt-4o-mini-transcribe", patience: float = 5.0) -> EngineSettings:
    own = OpenAISpeechToTextSettings(
        base_url=url, api_key=SecretStr(KEY), model=model, timeout_seconds=patience
    )
    return EngineSettings(openai_stt=own)


@asynccontextmanager
async def connected(
    server: OpenAIAudioServer, model: str = "gpt-4o-mini-transcribe", patience: float = 5.0
) -> AsyncIterator[OpenAICompatibleRecogniser]:
    async with server.running():
        engine = OpenAICompatibleRecogniser(settings_for(server.url, model, patience))
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()


async def hear(
    answer: Answer,
    model: str = "gpt-4o-mini-transcribe",
    patience: float = 5.0,
    hints: RecognitionHints = HINTS,
    speech: Samples = SPEECH,
) -> list[Transcript]:
    async with connected(OpenAIAudioServer(answer), model, patience) as engine:
        caller = Caller(engine, hints)
        caller.speak(speech)
        await caller.until(1)
        return caller.heard


async def test_a_segment_is_sent_as_wav_with_language_and_phrases() -> None:
    server = OpenAIAudioServer(transcript("hello"))
    async with connected(server) as engine:
        caller = Caller(engine, HINTS)
        caller.speak(SPEECH)
        await caller.until(1)
    (request,) = server.requests
    assert request.path == "/v1/audio/transcriptions"
    assert request.key == f"Bearer {KEY}"
    with wave.open(io.BytesIO(request.fields.pop("file"))) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
        assert np.array_equal(np.frombuffer(sound.readframes(10**6), np.int16), SPEECH)
    assert request.fields == {
        "model": b"gpt-4o-mini-transcribe",
        "language": b"en",
        "prompt": b"where is my parcel, opening hours",
        "response_format": b"json",
        "stream": b"true",
        "include[]": b"logprobs",
    }


async def test_whisper_is_asked_for_its_confidence_instead_of_a_stream() -> None:
    server = OpenAIAudioServer(transcript("hello", segments=[{"avg_logprob": -0.5}]))
    async with connected(server, "Systran/faster-whisper-small") as engine:
        caller = Caller(engine, RecognitionHints("en-GB"))
        caller.speak(SPEECH)
        (final,) = await caller.until(1)
    assert final.confidence == pytest.approx(0.6065, abs=0.001)
    assert "stream" not in server.requests[0].fields
    assert "prompt" not in server.requests[0].fields
    assert server.requests[0].fields["response_format"] == b"verbose_json"


async def test_deltas_are_interims_and_the_last_word_is_the_servers() -> None:
    heard = await hear(
        streamed(delta("Where"), delta(" is"), delta(" my "), done("Where is my parcel?"), "[DONE]")
    )
    assert [entry.text for entry in heard] == ["Where", "Where is", "Where is my", "Where is my parcel?"]
    assert [entry.final for entry in heard] == [False, False, False, True]


@pytest.mark.parametrize("answer", [
    transcript(" where  is it "),
    Answer([b"where is it\n"], kind="text/plain; charset=utf-8"),
    Answer([b'"where is it"']),
    streamed({"text": "where is"}, {"text": "it"}),  # speaches
    streamed(*({"choices": [{"delta": {"content": text}}]} for text in ("where", " is", " it")),
             {"choices": [{"delta": {}, "finish_reason": "stop"}]}, {"choices": [], "usage": {}}, "[DONE]"),
    streamed(delta("where is it"), "[DONE]"),
    Answer([bytes([byte]) for piece in events(done("where is it")) for byte in piece],  # type: ignore[union-attr]
           kind="text/event-stream"),
    Answer([b'event: x\r\n: ping\r\n\r\ndata: {"type":"transcript.text.done","text":"where is it"}'],
           kind="text/event-stream"),
])  # fmt: skip
async def test_servers_that_answer_in_other_ways_are_understood(answer: Answer) -> None:
    final = (await hear(answer))[-1]
    assert (final.text, final.final, final.lost) == ("where is it", True, False)


async def test_words_confidence_and_language_are_told_where_they_are_known() -> None:
    answer = transcript(
        "where is it",
        language="en",
        words=[
            {"word": " where", "start": 0.1, "end": 0.25, "probability": 0.9},
            {"word": "is", "start": 0.25, "end": 0.5},
            {"word": "it", "start": 0.5, "end": 1e300},
            {"word": "x", "start": "a", "end": None},
            {"word": "y", "start": 2, "end": 1},
            "z",
        ],
        logprobs=[{"token": "where", "logprob": -0.1}, {"logprob": -0.3}, {"logprob": "x"}, 4],
    )
    final = (await hear(answer))[-1]
    assert final.language == "en"
    assert final.confidence == pytest.approx(0.8187, abs=0.001)
    assert final.words == (
        RecognisedWord("where", 800, 2000, 0.9),
        RecognisedWord("is", 2000, 4000),
        RecognisedWord("it", 4000, 8000),
    )


async def test_deltas_tell_the_confidence_too() -> None:
    heard = await hear(streamed(delta("a", logprobs=[{"logprob": -1.0}]), done("a"), "[DONE]"))
    assert heard[-1].confidence == pytest.approx(0.3679, abs=0.001)


async def test_finals_come_in_order_whatever_the_order_of_the_answers() -> None:
    slow = Answer([0.3, b'{"text": "first"}'])
    async with connected(
        OpenAIAudioServer([slow, transcript("second"), refusal(500), transcript("fourth")])
    ) as engine:
        caller = Caller(engine, HINTS)
        for _ in range(4):
            caller.speak(SPEECH)
            await asyncio.sleep(0.02)
        caller.speak(SPEECH[:100])
        finals = await caller.until(5)
    assert [(final.text, final.lost) for final in finals] == [
        ("first", False), ("second", False), ("", True), ("fourth", False), ("", False),
    ]  # fmt: skip


async def test_connections_stay_open() -> None:
    server = OpenAIAudioServer(transcript("hello"))
    async with connected(server) as engine:
        caller = Caller(engine, HINTS)
        for count in range(1, 6):
            caller.speak(SPEECH)
            await caller.until(count)
        assert server.connections == 1


@pytest.mark.parametrize(("model", "field"), [("whisper-1", "verbose_json"), ("voxtral", "stream")])
async def test_a_server_that_knows_less_is_asked_for_less(model: str, field: str) -> None:
    answers = [refusal(400, f"{field} is not supported"), transcript("one"), transcript("two")]
    server = OpenAIAudioServer(answers)
    async with connected(server, model) as engine:
        caller = Caller(engine, HINTS)
        caller.speak(SPEECH)
        await caller.until(1)
        caller.speak(SPEECH)
        finals = await caller.until(2)
    assert [final.text for final in finals] == ["one", "two"]
    assert len(server.requests) == 3
    for request in server.requests[1:]:
        assert "stream" not in request.fields
        assert request.fields["response_format"] == b"json"


async def test_two_segments_may_find_at_once_that_a_server_knows_less() -> None:
    refusals = [refusal(400), Answer([0.3, *refusal(400).pieces], 400)]

    def answer(request: Request) -> Answer:
        return refusals.pop(0) if "stream" in request.fields else transcript("hello")

    async with connected(OpenAIAudioServer(answer), "voxtral") as engine:
        callers = [Caller(engine, HINTS) for _ in range(2)]
        finals = await asyncio.gather(*(caller.say(SPEECH) for caller in callers))
    assert [final.text for final in finals] == ["hello", "hello"]
    assert not refusals


@pytest.mark.parametrize("answer", [
    refusal(400), refusal(401, KEY), refusal(404), refusal(429), refusal(500),
    Answer([b"{not json"]), Answer([b"[]"]), Answer([b'{"text": 3}']), Answer([b"null"]), Answer([]),
    Answer([b"[" * 200_000]), Answer([b'"' + b"x" * 2_000_000 + b'"']),
    Answer([b"<html>"], kind="text/html"), Answer([b"\xff\xfe"], kind="audio/wav"),
    Answer([b'{"text": "hel'], framing="length", missing=100), Answer([b'{"text": "hel'], missing=1),
    streamed(delta("hel")), streamed(delta("hel"), missing=1), streamed("{not json"), streamed("3"),
    streamed({"error": {"message": f"overloaded {KEY}"}}), streamed(delta("hel"), {"error": "x"}),
    Answer([b"data: \xff\xfe\n\n"], kind="text/event-stream"),
    Answer([b"x" * 65536] * 20, kind="text/event-stream"),
])  # fmt: skip
async def test_what_fails_is_lost_at_once_and_the_next_segment_is_heard(
    answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = [transcript("hello"), answer, transcript("hello")]  # to plain requests
    server = OpenAIAudioServer(lambda request: refusal(400) if "stream" in request.fields else answers.pop(0))
    async with connected(server, "voxtral") as engine:
        caller = Caller(engine, HINTS)
        assert (await caller.say(SPEECH)).text == "hello"
        assert await caller.say(SPEECH) == LOST
        assert (await caller.say(SPEECH)).text == "hello"
    assert KEY not in capsys.readouterr().out


@pytest.mark.parametrize("pieces", [[5.0], [*events(delta("hel")), 5.0]])
async def test_a_silent_server_loses_the_segment_in_time(pieces: list[bytes | float]) -> None:
    server = OpenAIAudioServer(Answer(pieces, kind="text/event-stream"))
    async with connected(server, patience=0.3) as engine:
        caller = Caller(engine, HINTS)
        caller.speak(SPEECH)
        assert (await caller.until(1))[0].lost
        async with asyncio.timeout(2):
            await server.disconnected.wait()


async def test_closing_a_stream_closes_its_requests_at_once() -> None:
    server = OpenAIAudioServer(Answer([*events(delta("hel")), 5.0], kind="text/event-stream"))
    async with connected(server) as engine:
        caller = Caller(engine, HINTS)
        caller.speak(SPEECH)
        while not caller.heard:
            await asyncio.sleep(0.01)
        await caller.stream.close()
        async with asyncio.timeout(1):
            await server.disconnected.wait()
        caller.speak(SPEECH)
        await asyncio.sleep(0.05)
        assert [entry.text for entry in caller.heard] == ["hel"]


async def test_a_prompt_that_comes_back_was_not_said() -> None:
    heard = await hear(transcript("where is my parcel, opening hours"))
    assert heard == [Transcript("", final=True)]
    words = [delta(word) for word in ("where", " is", " my", " parcel,", " opening", " hours")]
    heard = await hear(streamed(*words, done("where is my parcel, opening hours"), "[DONE]"))
    assert heard == [Transcript("", final=True)]
    heard = await hear(transcript("where is my parcel, opening hours"), speech=tone(2.0, 8000))
    assert heard[-1].text == "where is my parcel, opening hours"  # there was time to say it
    heard = await hear(streamed(*words[:3], delta(" car"), done("where is my car"), "[DONE]"))
    assert [entry.text for entry in heard] == ["where is my car", "where is my car"]


@pytest.mark.parametrize(("phrases", "said"), [
    (("yes", "please"), "yes, please"),
    (("one", "two", "three"), "one, two, three"),
    (("yes, but where is my parcel",), "yes, but where is my parcel"),
    (("yes, please", "x" * 600), "yes, please"),
])  # fmt: skip
async def test_what_can_have_been_said_was_said(phrases: tuple[str, ...], said: str) -> None:
    first, rest = said.split(" ", 1)
    answer = streamed(delta(first), delta(f" {rest}"), done(said))
    heard = await hear(answer, hints=RecognitionHints(phrases=phrases))
    assert heard[0] == Transcript(first, final=False)
    assert heard[-1] == Transcript(said, final=True)


async def test_comments_are_no_answer() -> None:
    comments: list[bytes | float] = [b": keep-alive\n\n", 0.05]
    began = time.perf_counter()
    heard = await hear(Answer(comments * 60, kind="text/event-stream"), patience=0.3)
    assert heard == [LOST]
    assert time.perf_counter() - began < 2.0
    late = [*events(delta("hel")), 0.2, *events(delta("lo")), 0.2, *events(done("hello"))]
    assert (await hear(Answer(late, kind="text/event-stream"), patience=0.35))[-1].text == "hello"


async def test_what_was_heard_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    heard = await hear(
        streamed(delta("my number is 0170"), {"error": "cannot go on after 'My number is 01...'"})
    )
    assert heard[-1].lost
    out = capsys.readouterr().out
    assert "segment_lost" in out
    assert "umber" not in out


async def test_phrases_fill_a_prompt_of_a_bounded_length() -> None:
    server = OpenAIAudioServer(transcript("hello"))
    async with connected(server) as engine:
        caller = Caller(engine, RecognitionHints("fil-PH", tuple(f"phrase number {n}" for n in range(1000))))
        caller.speak(SPEECH)
        await caller.until(1)
    assert 500 < len(server.requests[0].fields["prompt"]) <= 600
    assert "language" not in server.requests[0].fields


@pytest.mark.parametrize("language", ["en", "en-GB", "EN_gb"])
async def test_the_language_is_a_code_of_two_letters(language: str) -> None:
    server = OpenAIAudioServer(transcript("hello"))
    async with connected(server) as engine:
        await Caller(engine, RecognitionHints(language)).say(SPEECH)
    assert server.requests[0].fields["language"] == b"en"


async def test_audio_beyond_five_minutes_is_dropped_and_counted() -> None:
    server = OpenAIAudioServer(transcript("hello"))
    async with connected(server) as engine:
        caller = Caller(engine, HINTS)
        before = dropped_seconds(engine)
        for _ in range(31):
            caller.stream.push(np.zeros(80_000, np.int16))
        assert dropped_seconds(engine) - before == pytest.approx(10.0)
        caller.stream.finish_segment()
        await caller.until(1)
    assert len(server.requests[0].fields["file"]) == 44 + 2 * 300 * 8000


@pytest.mark.parametrize(("probe", "words", "retryable"), [
    (refusal(401), "refuses the key.*TRUNKLINE_ENGINES__OPENAI_STT__API_KEY", False),
    (refusal(403), "refuses the key", False),
    (refusal(404, "Not Found"), "404.*Not Found.*TRUNKLINE_ENGINES__OPENAI_STT__BASE_URL", False),
    (refusal(405), "answers 405", False),
    (refusal(503, "loading"), "answers 503.*loading", True),
])  # fmt: skip
async def test_mistakes_are_found_at_the_start(probe: Answer, words: str, retryable: bool) -> None:
    server = OpenAIAudioServer(probe=probe)
    with pytest.raises(EngineUnavailable, match=words) as caught:
        async with connected(server):
            pass
    assert caught.value.retryable is retryable
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("probe", [refusal(400), refusal(415), refusal(422), refusal(500), transcript("")])
async def test_a_server_that_answers_otherwise_is_there(probe: Answer) -> None:
    async with connected(OpenAIAudioServer(probe=probe)):
        pass


def of(base_url: str = "", api_key: str = "", model: str = "m") -> dict[str, Any]:
    return {"base_url": base_url, "api_key": SecretStr(api_key), "model": model}


@pytest.mark.parametrize(("language", "speech", "words", "retryable"), [
    (of(), of(model=""), "no model.*OPENAI_STT__MODEL", False),
    (of(), of(), "no key.*OPENAI_STT__API_KEY", False),
    (of(), of(api_key="two words"), "no key.*OPENAI_STT__API_KEY", False),
    (of(api_key="s\u00e9cret"), of(), "no key.*OPENAI__API_KEY", False),
    (of("127.0.0.1:9"), of(), "TRUNKLINE_ENGINES__OPENAI__BASE_URL must be a URL", False),
    (of(), of("ftp://x"), "TRUNKLINE_ENGINES__OPENAI_STT__BASE_URL must be a URL", False),
    (of(), of("http://x:99999"), "must be a URL", False),
    (of(), of("http://127.0.0.1:9/v1"), "127.0.0.1:9/v1: no connection.*OPENAI_STT__BASE_URL", True),
])  # fmt: skip
async def test_settings_that_cannot_work_are_named(
    language: dict[str, Any], speech: dict[str, Any], words: str, retryable: bool
) -> None:
    settings = EngineSettings(
        openai=OpenAISettings(**language), openai_stt=OpenAISpeechToTextSettings(**speech)
    )
    with pytest.raises(EngineUnavailable, match=words) as caught:
        await OpenAICompatibleRecogniser(settings).start()
    assert caught.value.retryable is retryable


@pytest.mark.parametrize("own_url", [False, True])
async def test_the_language_models_key_goes_to_its_own_server_only(own_url: bool) -> None:
    server = OpenAIAudioServer(transcript("hello"))
    async with server.running():
        language = OpenAISettings(
            base_url="http://elsewhere/v1" if own_url else server.url, api_key=SecretStr(KEY)
        )
        speech = OpenAISpeechToTextSettings(base_url=server.url if own_url else "")
        engine = OpenAICompatibleRecogniser(EngineSettings(openai=language, openai_stt=speech))
        await engine.start()
        caller = Caller(engine, HINTS)
        caller.speak(SPEECH)
        await caller.until(1)
        await engine.close()
    assert server.requests[0].key == ("" if own_url else f"Bearer {KEY}")


async def test_the_loop_goes_on_while_many_segments_are_sent(addresses: Addresses) -> None:
    async with started(OpenAICompatibleRecogniser(settings_for(addresses.audio, "whisper-1"))) as engine:
        caller = Caller(engine, HINTS)
        rounds = 0

        async def work() -> None:
            nonlocal rounds
            rounds += 10
            for _ in range(10):
                caller.speak(np.tile(SPEECH, 5))
                await asyncio.sleep(0.01)
            await caller.until(rounds)

        await never_stalls(work)


async def test_two_hundred_segments_leave_nothing() -> None:
    server = OpenAIAudioServer(streamed(delta("hello"), done("hello")))
    async with server.running():

        async def use() -> None:
            engine = OpenAICompatibleRecogniser(settings_for(server.url))
            await engine.start()
            callers = [Caller(engine, HINTS) for _ in range(10)]
            for count in range(1, 11):
                for caller in callers:
                    caller.speak(SPEECH)
                for caller in callers:
                    await caller.until(count)
            await engine.close()
            while server.open:
                await asyncio.sleep(0.01)

        await leaves_nothing(use, times=2)


def test_an_answer_may_be_cut_at_any_byte() -> None:
    for whole in (
        b"".join(
            piece
            for piece in events(delta("wh\u00e9re"), delta(" is"), done("wh\u00e9re is it"))
            if isinstance(piece, bytes)
        ),
        b'data: {"text":"wh\xc3\xa9re is"}\r\n\r\ndata: {"text": "it"}\r\n\r\n',
    ):
        for cut in range(len(whole)):
            answer = TranscriptionAnswer("text/event-stream", 8000)
            answer.feed(whole[:cut])
            answer.feed(whole[cut:])
            assert answer.finish().text == "wh\u00e9re is it"
            short = TranscriptionAnswer("text/event-stream", 8000)
            try:
                short.feed(whole[:cut])
                assert short.finish().final
            except BadAnswerError:
                pass
