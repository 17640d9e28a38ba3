from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from app.engines.llm.timed import TimedLanguageModel, timed_tokens
from app.engines.ports import RecognitionHints, ReplyRequest, TextDelta, Transcript, VoiceSpec, WordMark
from app.engines.stt.timed import TimedRecogniser
from app.engines.tts.timed import TimedSynthesiser
from config.engines import TimedSettings
from telephony.media.frame import silence

SETTINGS = TimedSettings()
LATE = 0.03  # a noisy machine wakes late; early is wrong anywhere


def test_the_reply_has_forty_tokens_of_four_characters_in_three_sentences() -> None:
    tokens = timed_tokens(SETTINGS.sentence_tokens)
    assert {len(token) for token in tokens} == {4}
    assert [index + 1 for index, token in enumerate(tokens) if token.endswith(".")] == [13, 26, 40]
    text = "".join(tokens)
    assert text.startswith("Your box has now set out")
    assert text.count(".") == 3
    assert "  " not in text


@pytest.mark.parametrize("counts", [(), (1,), (2, 1), (30, 3, 3, 3)])
def test_other_sentences_may_be_asked_for(counts: tuple[int, ...]) -> None:
    tokens = timed_tokens(counts)
    assert len(tokens) == sum(counts)
    assert all(len(token) == 4 for token in tokens)


async def test_tokens_come_on_time() -> None:
    began = time.perf_counter()
    times, text = [], ""
    async for delta in TimedLanguageModel(SETTINGS).reply(ReplyRequest(())):
        assert isinstance(delta, TextDelta)
        times.append(time.perf_counter() - began)
        text += delta.text
    due = [0.15 + 0.01 * index for index in range(40)]
    assert all(-0.002 < time - wanted < LATE for time, wanted in zip(times, due, strict=True))
    assert len(text) == 160


async def test_a_late_consumer_gets_at_once_what_was_due() -> None:
    reply = TimedLanguageModel(SETTINGS).reply(ReplyRequest(()))
    await asyncio.sleep(0.3)
    began = time.perf_counter()
    for _ in range(15):
        await anext(reply)
    assert time.perf_counter() - began < 0.01


async def test_interims_grow_with_the_audio_and_the_final_is_on_time() -> None:
    heard: list[tuple[float, Transcript]] = []
    recogniser = TimedRecogniser(SETTINGS)
    stream = recogniser.open(
        RecognitionHints(), lambda transcript: heard.append((time.perf_counter(), transcript))
    )
    for _ in range(35):  # 0.7 s
        stream.push(silence(160))
    await asyncio.sleep(0)
    assert [transcript.text for _, transcript in heard] == [
        "this is", "this is the transcript", "this is the transcript of what",
    ]  # fmt: skip
    began = time.perf_counter()
    stream.finish_segment()
    await asyncio.sleep(0.16)
    at, final = heard[-1]
    assert final == Transcript("this is the transcript of what the caller said", final=True)
    assert -0.002 < at - began - 0.1 < LATE
    await stream.close()


async def test_a_long_segment_ends_with_the_whole_transcript_as_interim() -> None:
    heard: list[Transcript] = []
    stream = TimedRecogniser(SETTINGS).open(RecognitionHints(), heard.append)
    stream.push(silence(80_000))
    await asyncio.sleep(0)
    assert len(heard) == 5
    assert heard[-1] == Transcript(SETTINGS.transcript, final=False)


async def test_speech_comes_on_time_with_exact_marks() -> None:
    phrase = "Your box has now set out and you may see who got it."
    began = time.perf_counter()
    times, chunks = [], []
    async for chunk in TimedSynthesiser(SETTINGS).speak(phrase, VoiceSpec()):
        times.append(time.perf_counter() - began)
        chunks.append(chunk)
    due = [0.08 + 0.01 * index for index in range(15)]
    assert all(-0.002 < time - wanted < LATE for time, wanted in zip(times, due, strict=True))
    sound = np.concatenate([chunk.samples for chunk in chunks])
    assert sound.size == len(phrase) * 440
    assert {chunk.samples.size for chunk in chunks[:-1]} == {1600}
    assert np.abs(np.diff(sound.astype(int))).max() < 1700  # no click where pieces meet
    words = [mark for chunk in chunks for mark in chunk.words]
    assert words[:3] == [WordMark(0, 0), WordMark(5, 2200), WordMark(9, 3960)]
    assert len(words) == 13


async def test_an_empty_phrase_has_no_audio() -> None:
    assert [chunk async for chunk in TimedSynthesiser(SETTINGS).speak("", VoiceSpec())] == []
