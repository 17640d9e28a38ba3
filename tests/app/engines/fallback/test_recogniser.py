"""Recognisers that fail in every way, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.engines.errors import EngineError, RequestRefused
from app.engines.fallback.recogniser import FallbackRecogniser
from app.engines.ports import HELD_SAMPLES, Expectation, RecognitionHints, Transcript
from config.engines import FallbackSettings
from telephony.media.frame import Samples
from tests.fakes.clock import run_virtual
from tests.fakes.recogniser import FakeRecogniser, FakeRecogniserStream

SETTINGS = FallbackSettings()
HINTS = RecognitionHints()
FRAME = np.ones(160, dtype=np.int16)


class Ears(FakeRecogniser):
    """Hears the loudness of the first sample of each frame; fails as told, from a segment on."""

    def __init__(
        self, name: str, fails_from: int | None = None, how: str = "kill", final_after: float = 0.02
    ) -> None:
        super().__init__(final_after=final_after)
        self.name, self.fails_from, self.how = name, fails_from, how
        self.refuses = False
        self.opened: list[EarsStream] = []

    async def prepare(self, hints: RecognitionHints) -> None:
        self._refuse()
        await super().prepare(hints)

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> Any:
        self._refuse()
        stream = EarsStream(self, sink)
        self.opened.append(stream)
        return stream

    def _refuse(self) -> None:
        if self.refuses:
            raise RequestRefused(self.name, "it understands English")


class EarsStream(FakeRecogniserStream):
    def __init__(self, engine: Ears, sink: Callable[[Transcript], None]) -> None:
        super().__init__(engine, sink)
        self.ears = engine
        self.heard: list[str] = []
        self.pushed = 0  # samples
        self.segments = 0
        self.closed = False

    def push(self, samples: Samples) -> None:
        self.pushed += len(samples)
        self.heard += map(str, samples[:: FRAME.size])
        if self.segments != self.ears.fails_from and len(self.heard) % 10 == 0:
            self._loop.call_soon(self._report, Transcript(" ".join(self.heard), final=False))

    def finish_segment(self) -> None:
        text, self.heard = " ".join(self.heard), []
        number, self.segments = self.segments, self.segments + 1
        if self.ears.fails_from is not None and number >= self.ears.fails_from:
            if self.ears.how == "kill":
                self._loop.call_soon(self._report, Transcript("", final=True, lost=True))
            return
        self._answers.append(Transcript(text, final=True))
        self._loop.call_later(self.ears.final_after, self._answer)

    async def close(self) -> None:
        await super().close()
        self.closed = True


class Caller:
    """Speaks segments into a stream and notes what came back, and when."""

    def __init__(self, *engines: Ears, known: bool = True, settings: FallbackSettings = SETTINGS) -> None:
        self.shared = FallbackRecogniser(engines, settings)
        for candidate in self.shared.roster.candidates:
            candidate.started = True
            for _ in range(50 if known else 0):
                candidate.first.observe(0.02)
        self.notes: list[Any] = []
        self.finals: list[tuple[str, bool, float]] = []
        self.interims: list[str] = []
        self.stream = self.shared.for_call(lambda *note: self.notes.append(note)).open(HINTS, self.sink)

    def sink(self, transcript: Transcript) -> None:
        if transcript.final:
            self.finals.append((transcript.text, transcript.lost, self.now))
        else:
            self.interims.append(transcript.text)

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def says(self, value: int, frames: int = 20) -> float:
        """A segment; when it ended."""
        for _ in range(frames):
            self.stream.push(FRAME * value)
            await asyncio.sleep(0.02)
        self.stream.finish_segment()
        return self.now


def text(value: int, frames: int = 20) -> str:
    return " ".join([str(value)] * frames)


@pytest.mark.parametrize("how", ["kill", "stall"])
@pytest.mark.parametrize("fails_from", [0, 1, 2])
def test_what_one_lost_the_next_hears(fails_from: int, how: str) -> None:
    async def work() -> None:
        first, second = Ears("first", fails_from, how), Ears("second")
        caller = Caller(first, second)
        for value in (1, 2, 3, 4):
            asked = await caller.says(value)
            await asyncio.sleep(1.0)
            heard, lost, at = caller.finals[-1]
            assert (heard, lost) == (text(value), False)
            assert at - asked <= (0.6 if how == "stall" else 0.05)
        assert len(caller.finals) == 4
        assert caller.notes == [("engine_switched", {"port": "stt", "from": "first", "to": "second"})]
        await caller.stream.close()
        assert all(stream.closed for stream in (*first.opened, *second.opened))

    run_virtual(work())


@pytest.mark.parametrize("how", ["kill", "stall"])
def test_segments_that_wait_are_heard_again_in_their_order(how: str) -> None:
    async def work() -> None:
        first, second = Ears("first", 0, how), Ears("second")
        caller = Caller(first, second)
        for value in (1, 2, 3):
            await caller.says(value, 5)
        for _ in range(7):  # the next one is being spoken when the engine is found to be late
            caller.stream.push(FRAME * 4)
            await asyncio.sleep(0.1)
        caller.stream.finish_segment()
        await asyncio.sleep(2)
        assert [heard for heard, _, _ in caller.finals] == [text(1, 5), text(2, 5), text(3, 5), text(4, 7)]
        await caller.stream.close()

    run_virtual(work())


def test_a_recogniser_without_another_gets_time_to_recover_and_one_more_try() -> None:
    async def work() -> None:
        only = Ears("first", 0)
        caller = Caller(only)
        asked = await caller.says(1)
        await asyncio.sleep(0.3)
        only.fails_from = None
        await asyncio.sleep(1)
        ((heard, lost, at),) = caller.finals
        assert (heard, lost) == (text(1), False)
        assert at == pytest.approx(asked + 0.62, abs=0.01)
        only.fails_from = 1  # of the new stream, and of the one after it
        await caller.says(2)
        await asyncio.sleep(0.3)
        only.fails_from = 0
        await asyncio.sleep(1)
        assert caller.finals[1][:2] == ("", True)
        await caller.stream.close()

    run_virtual(work())


def test_speech_goes_on_while_a_recogniser_recovers() -> None:
    async def work() -> None:
        only = Ears("first", 0)
        caller = Caller(only)
        await caller.says(1)
        only.fails_from = None
        await caller.says(2, 10)
        await caller.says(3, 60)
        await asyncio.sleep(1)
        assert [heard for heard, _, _ in caller.finals] == [text(1), text(2, 10), text(3, 60)]
        await caller.stream.close()

    run_virtual(work())


def test_words_that_no_recogniser_hears_are_lost_and_the_call_goes_on() -> None:
    async def work() -> None:
        first, second = Ears("first", 0), Ears("second", 0)
        caller = Caller(first, second)
        await caller.says(1)
        await asyncio.sleep(1)
        assert caller.finals[0][:2] == ("", True)
        second.fails_from = None
        await caller.says(2)
        await asyncio.sleep(1)
        assert caller.finals[1][:2] == (text(2), False)
        await caller.stream.close()

    run_virtual(work())


def test_a_slow_recogniser_without_another_is_waited_for() -> None:
    async def work() -> None:
        caller = Caller(Ears("first", final_after=5.0))
        await caller.says(1)
        await asyncio.sleep(6)
        assert caller.finals[0][:2] == (text(1), False)
        await caller.stream.close()

    run_virtual(work())


def test_a_slow_recogniser_is_waited_for_where_the_other_has_lost_the_words() -> None:
    async def work() -> None:
        caller = Caller(Ears("first", 0), Ears("second", final_after=5.0))
        await caller.says(1)
        await asyncio.sleep(6)
        assert caller.finals[0][:2] == (text(1), False)
        await caller.stream.close()

    run_virtual(work())


def test_one_that_was_given_up_is_not_opened_until_a_trial_works() -> None:
    async def work() -> None:
        first, second = Ears("first", 0), Ears("second")
        caller = Caller(first, second)
        watching = asyncio.create_task(caller.shared.watch())
        for number in range(3):
            stream = caller.shared.open(HINTS, caller.sink)
            stream.push(FRAME)
            stream.finish_segment()
            await asyncio.sleep(0.1)
            await stream.close()
            assert len(caller.finals) == number + 1
        opened = len(first.opened)
        later = caller.shared.open(HINTS, caller.sink)
        assert len(first.opened) == opened
        await later.close()
        first.fails_from = None
        await asyncio.sleep(5.5)
        assert caller.shared.standings[0].state == "closed"
        assert first.prepared == [HINTS]
        watching.cancel()
        await asyncio.wait([watching])
        await caller.stream.close()

    run_virtual(work())


def test_one_that_does_not_take_the_hints_is_passed_over() -> None:
    async def work() -> None:
        first, second = Ears("first"), Ears("second")
        first.refuses = True
        caller = Caller(first, second)
        await caller.says(1)
        await asyncio.sleep(0.1)
        assert caller.finals[0][0] == text(1)
        second.refuses = True
        with pytest.raises(EngineError, match="it understands English"):
            Caller(first, second)
        await caller.stream.close()

    run_virtual(work())


def test_a_language_that_every_recogniser_refuses_is_refused_and_no_engine_is_given_up() -> None:
    async def work() -> None:
        first, second = Ears("first"), Ears("second")
        caller = Caller(first, second)
        first.refuses = True
        for _ in range(5):
            await caller.shared.open(HINTS, caller.sink).close()
        assert caller.shared.standings[0].state == "closed"
        for candidate in caller.shared.roster.candidates:
            candidate.started = True
        await caller.shared.prepare(HINTS)  # the second one takes them
        assert (first.prepared, second.prepared) == ([], [HINTS, HINTS])  # and hears a trial
        second.refuses = True
        with pytest.raises(RequestRefused, match="first: it understands English"):
            await caller.shared.prepare(HINTS)
        assert {one.state for one in caller.shared.standings} == {"closed"}
        await caller.stream.close()

    run_virtual(work())


def test_the_next_recogniser_knows_what_is_expected() -> None:
    async def work() -> None:
        first, second = Ears("first", 0), Ears("second")
        caller = Caller(first, second)
        caller.stream.expect(Expectation("digits", 5))
        await caller.says(1)
        await asyncio.sleep(0.1)
        assert second.expected == [Expectation("digits", 5)]
        await caller.stream.close()

    run_virtual(work())


def test_a_closed_stream_reports_nothing_more() -> None:
    async def work() -> None:
        for how in ("kill", "stall"):
            caller = Caller(Ears("first", 0, how), Ears("second"))
            await caller.says(1)
            await caller.stream.close()
            await asyncio.sleep(3)
            assert not caller.finals

    run_virtual(work())


def test_a_final_that_comes_after_it_was_given_up_is_not_taken_for_the_next_one() -> None:
    async def work() -> None:
        first, second = Ears("first", final_after=1.5), Ears("second")
        caller = Caller(first, second)
        second.refuses = True
        await caller.says(1)
        await asyncio.sleep(1.4)  # it is given up, and no other can be opened; its final is still on its way
        assert caller.finals[0][:2] == ("", True)
        first.final_after = 0.02
        for value in (2, 3):
            await caller.says(value, 10)
            await asyncio.sleep(0.7)
        assert [heard for heard, _, _ in caller.finals] == ["", text(2, 10), text(3, 10)]
        await caller.stream.close()

    run_virtual(work())


def test_a_slow_recogniser_is_waited_for_once_the_other_was_given_up() -> None:
    async def work() -> None:
        first, second = Ears("first", final_after=0.8), Ears("second")
        caller = Caller(first, second)
        await caller.says(1)
        for _ in range(3):  # another call loses it
            caller.shared.roster.failed(caller.shared.roster.candidates[1], EngineError("second", "down"))
        await asyncio.sleep(2)
        assert [final[:2] for final in caller.finals] == [(text(1), False)]
        assert not second.opened
        await caller.stream.close()

    run_virtual(work())


def test_a_stream_that_outlives_the_engines_blames_none() -> None:
    async def work() -> None:
        first, second = Ears("first", 0, "stall"), Ears("second")
        caller = Caller(first, second, settings=FallbackSettings(failures=1))
        await caller.shared.close()
        await caller.says(1)
        await asyncio.sleep(3)
        assert [standing.state for standing in caller.shared.standings] == ["closed", "closed"]
        await caller.stream.close()

    run_virtual(work())


def test_a_stream_that_was_left_is_closed_while_the_call_goes_on() -> None:
    async def work() -> None:
        only = Ears("first")
        caller = Caller(only)
        for number in range(6):
            only.fails_from = 0
            await caller.says(number, 3)
            await asyncio.sleep(0.3)
            only.fails_from = None
            await asyncio.sleep(1)
        assert len(caller.finals) == 6
        assert [stream.closed for stream in only.opened] == [True] * (len(only.opened) - 1) + [False]
        await caller.stream.close()
        assert only.opened[-1].closed

    run_virtual(work())


def test_an_engine_goes_on_and_is_credited_where_the_other_cannot_be_opened() -> None:
    async def work() -> None:
        first, second = Ears("first", 0), Ears("second")
        caller = Caller(first, second, known=False)
        second.refuses = True
        await caller.says(1)
        await asyncio.sleep(1)
        first.fails_from = None
        await caller.says(2)
        await asyncio.sleep(1)
        assert [final[:2] for final in caller.finals] == [("", True), (text(2), False)]
        assert not first.opened[0].closed
        assert [standing.first_p95 for standing in caller.shared.standings] == [0.02, None]
        await caller.stream.close()

    run_virtual(work())


def test_no_more_than_a_minute_is_kept_of_all_that_is_owed() -> None:
    async def work() -> None:
        first, second = Ears("first", 0, "stall"), Ears("second")
        caller = Caller(first, second)
        caller.shared.roster.candidates[1].breaker.trip(caller.now)
        for _ in range(50):
            await caller.says(1, 100)
        caller.shared.roster.candidates[1].breaker.tried(caller.now, works=True)
        await caller.says(2, 100)
        await asyncio.sleep(10)
        assert len(caller.finals) == 51
        assert second.opened[0].pushed == HELD_SAMPLES
        await caller.says(3)
        await asyncio.sleep(1)
        assert caller.finals[-1][0] == text(3)
        await caller.stream.close()

    run_virtual(work())


def test_audio_whose_words_are_known_makes_room() -> None:
    async def work() -> None:
        first, second = Ears("first", 4), Ears("second")
        caller = Caller(first, second)
        frames = HELD_SAMPLES // FRAME.size // 4 + 1
        for value in (1, 2, 3, 4):  # more than is kept at once
            await caller.says(value, frames)
            await asyncio.sleep(1.0)
        await caller.says(5)
        await asyncio.sleep(1.0)
        assert [heard for heard, _, _ in caller.finals[:-1]] == [
            text(value, frames) for value in (1, 2, 3, 4)
        ]
        assert caller.finals[-1][:2] == (text(5), False)
        await caller.stream.close()

    run_virtual(work())
