"""Voices that break off in every place, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from prometheus_client import REGISTRY

from app.engines.errors import EngineError, RequestRefused
from app.engines.fallback.synthesiser import FallbackSynthesiser
from app.engines.ports import SpeechChunk, VoiceSpec, WordMark
from app.voice.playout import Playout
from config.engines import FallbackSettings
from tests.fakes.clock import run_virtual
from tests.fakes.synthesiser import FakeSynthesiser

PHRASE = "Your parcel is out for delivery and it will be with you this afternoon."
PACE = 400  # samples a character, of the fake
SETTINGS = FallbackSettings()


class Voice(FakeSynthesiser):
    """A voice that breaks off after so many pieces, with an error or silently, and may give no marks."""

    def __init__(self, name: str, after: int | None = None, how: str = "kill", *, marks: bool = True) -> None:
        super().__init__(0.001)
        self.name, self._after, self._how, self._marks = name, after, how, marks

    async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        pieces = super().speak(phrase, voice)
        number = 0
        try:
            async for piece in pieces:
                if number == self._after:
                    await asyncio.sleep(99.0 if self._how == "stall" else 0.0)
                    raise EngineError(self.name, "killed")
                yield piece if self._marks else SpeechChunk(piece.samples)
                number += 1
        finally:
            await pieces.aclose()


async def collect(engine: Any, voice: VoiceSpec | None = None) -> tuple[list[SpeechChunk], float]:
    """The audio and the longest wait for a piece of it."""
    loop = asyncio.get_running_loop()
    chunks, longest, last = [], 0.0, loop.time()
    async for chunk in engine.speak(PHRASE, voice or VoiceSpec()):
        longest, last = max(longest, loop.time() - last), loop.time()
        chunks.append(chunk)
    return chunks, longest


def warmed(shared: FallbackSynthesiser) -> FallbackSynthesiser:
    for candidate in shared.roster.candidates:
        candidate.started = True
        for _ in range(50):
            candidate.first.observe(0.08)
            candidate.gap.observe(0.02)
        shared.paces[candidate].spoke(100, 100 * PACE)
    return shared


def failures(engine: str) -> float:
    found = [
        REGISTRY.get_sample_value(
            "trunkline_engine_failures_total", {"port": "tts", "engine": engine, "reason": reason}
        )
        for reason in ("error", "timeout")
    ]
    return sum(value or 0.0 for value in found)


def samples(chunks: list[SpeechChunk]) -> int:
    return sum(len(chunk.samples) for chunk in chunks)


@pytest.mark.parametrize("marks", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("how", ["kill", "stall"])
@pytest.mark.parametrize("after", range(33))
def test_the_next_voice_goes_on_after_the_last_word(after: int, how: str, marks: tuple[bool, bool]) -> None:
    async def work() -> None:
        first = Voice("first", after, how, marks=marks[0])
        second = Voice("second", marks=marks[1])
        notes: list[Any] = []
        shared = warmed(FallbackSynthesiser([first, second], SETTINGS))
        call = shared.for_call(lambda *note: notes.append(note))
        chunks, longest = await collect(call)
        assert longest <= (0.51 if how == "stall" else 0.01)
        (rest,) = second.phrases
        assert PHRASE.endswith(rest)
        said_before = after * 800 / PACE  # characters
        cut = len(PHRASE) - len(rest)
        assert abs(cut - said_before) <= len("afternoon.") / 2 + 1
        assert abs(samples(chunks) - len(PHRASE) * PACE) <= 5.5 * PACE
        assert notes == [("engine_switched", {"port": "tts", "from": "first", "to": "second"})]
        await collect(call)
        assert len(second.phrases) == 2

        words = [word for chunk in chunks for word in chunk.words]
        assert all(one.sample <= other.sample and one.char <= other.char for one, other in pairwise(words))
        heard_right(chunks, cut, after * 800)

    run_virtual(work())


def heard_right(chunks: list[SpeechChunk], cut: int, made: int) -> None:
    """At every moment, the ledger is within a word of what the voices said."""
    playout = Playout(1)
    playout.begin_phrase(0, PHRASE, 0)
    for chunk in chunks:
        playout.add_words(chunk.words)
    playout.add_sent(samples(chunks), 0.0)
    playout.end_phrase(samples(chunks))
    for heard in range(0, samples(chunks), 400):
        true = heard / PACE if heard < made else cut + (heard - made) / PACE
        ledger = playout.heard_chars(heard / 8000)
        assert abs(ledger - true) <= len("afternoon. ") + 2, (heard, true, ledger)


def test_a_voice_that_breaks_off_at_the_very_end_needs_no_other() -> None:
    async def work() -> None:
        first, second = Voice("first", 35), Voice("second")
        await collect(warmed(FallbackSynthesiser([first, second], SETTINGS)))
        assert not second.phrases

    run_virtual(work())


def test_with_no_voice_left_the_error_is_the_last_ones() -> None:
    async def work() -> None:
        shared = warmed(FallbackSynthesiser([Voice("first", 2), Voice("second", 2)], SETTINGS))
        with pytest.raises(EngineError, match="second: killed"):
            await collect(shared)

    run_virtual(work())


def test_a_voice_without_another_is_asked_once_more_for_the_rest() -> None:
    async def work() -> None:
        only = Voice("first", 3)
        shared = warmed(FallbackSynthesiser([only], SETTINGS))
        with pytest.raises(EngineError):
            await collect(shared)
        assert only.phrases == [PHRASE, PHRASE[5:]]

    run_virtual(work())


def test_a_slow_voice_is_waited_for_where_the_other_has_failed() -> None:
    async def work() -> None:
        second = Voice("second")
        second.delay = 3.0
        chunks, _ = await collect(warmed(FallbackSynthesiser([Voice("first", 0), second], SETTINGS)))
        assert sum(len(chunk.samples) for chunk in chunks) == PACE * len(PHRASE)

    run_virtual(work())


def test_each_engine_speaks_with_the_voice_that_is_named_for_it() -> None:
    async def work() -> None:
        first, second = Voice("first", 2), Voice("second")
        voice = VoiceSpec("alice", named=(("second", "bob"), ("third", "carol")))
        await collect(warmed(FallbackSynthesiser([first, second], SETTINGS)), voice=voice)
        assert (first.asked[0].name, second.asked[0].name) == ("alice", "bob")

    run_virtual(work())


def test_a_voice_of_the_first_engine_is_not_asked_of_another() -> None:
    async def work() -> None:
        first, second = Voice("first", 2), Voice("second")
        await collect(warmed(FallbackSynthesiser([first, second], SETTINGS)), VoiceSpec("alice", rate=1.2))
        assert (first.asked[0].name, second.asked[0]) == ("alice", VoiceSpec(rate=1.2))

    run_virtual(work())


def test_a_refused_voice_is_the_calls_fault_and_not_the_engines() -> None:
    class Particular(Voice):
        async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
            if voice.name == "nobody":
                raise RequestRefused(self.name, "there is no voice 'nobody'")
            async for piece in super().speak(phrase, voice):
                yield piece

    async def work() -> None:
        first, second = Particular("first"), Voice("second")
        shared = warmed(FallbackSynthesiser([first, second], SETTINGS))
        for _ in range(5):
            chunks, _ = await collect(shared, VoiceSpec("nobody"))
            assert samples(chunks) == len(PHRASE) * PACE
        assert len(second.phrases) == 5
        await collect(shared, VoiceSpec("alice"))
        assert first.asked[-1].name == "alice"
        assert shared.standings[0].state == "closed"

    run_virtual(work())


def test_a_voice_that_was_given_up_is_not_asked() -> None:
    async def work() -> None:
        first, second = Voice("first", 0), Voice("second")
        shared = warmed(FallbackSynthesiser([first, second], SETTINGS))
        for _ in range(10):
            _, longest = await collect(shared)
        assert len(first.phrases) == 3
        assert longest <= 0.002
        assert len(second.phrases) == 10

    run_virtual(work())


@pytest.mark.parametrize("how", ["kill", "stall"])
def test_a_voice_that_always_breaks_off_is_given_up(how: str) -> None:
    async def work() -> None:
        first, second = Voice("first", 5, how), Voice("second")
        shared = warmed(FallbackSynthesiser([first, second], SETTINGS))
        for _ in range(10):
            await collect(shared)
        assert len(first.phrases) == 3
        assert shared.standings[0].state == "open"

    run_virtual(work())


def test_a_phrase_that_is_cut_off_while_the_voice_is_ahead_counts_as_spoken() -> None:
    async def work() -> None:
        first = Voice("first", 5)
        shared = warmed(FallbackSynthesiser([first, Voice("second")], SETTINGS))
        for _ in range(10):
            for _ in range(2):
                await collect(shared)
            speech = shared.speak(PHRASE, VoiceSpec())
            await anext(speech)
            await speech.aclose()
        assert shared.standings[0].state == "closed"
        for _ in range(2):
            await collect(shared)
        waiting = asyncio.create_task(collect(shared))  # cancelled before it has given anything
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await collect(shared)
        assert shared.standings[0].state == "open"

    run_virtual(work())


def test_a_consumer_that_reads_slowly_does_not_make_a_voice_late() -> None:
    async def work() -> None:
        first, second = Voice("first"), Voice("second")
        shared = warmed(FallbackSynthesiser([first, second], SETTINGS))
        async for chunk in shared.speak(PHRASE, VoiceSpec()):
            assert np.any(chunk.samples)
            await asyncio.sleep(3.0)
        assert not second.phrases

    run_virtual(work())


def test_marks_of_a_phrase_that_one_voice_speaks_are_its_own() -> None:
    async def work() -> None:
        chunks, _ = await collect(warmed(FallbackSynthesiser([Voice("first", marks=False)], SETTINGS)))
        assert not any(chunk.words for chunk in chunks)
        chunks, _ = await collect(warmed(FallbackSynthesiser([Voice("first")], SETTINGS)))
        assert chunks[0].words == (WordMark(0, 0),)

    run_virtual(work())


def test_two_phrases_at_once_lose_a_voice_together_and_no_other() -> None:
    async def work() -> None:
        first, second = Voice("first", 2, "stall"), Voice("second")
        shared = warmed(FallbackSynthesiser([first, second], SETTINGS))
        before = failures("second")
        notes: list[Any] = []
        call = shared.for_call(lambda *note: notes.append(note))
        await asyncio.gather(collect(call), collect(call))
        assert len(second.phrases) == 2
        assert len(notes) == 1
        assert failures("second") == before

    run_virtual(work())
