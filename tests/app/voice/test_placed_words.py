"""The caller's words and when they were said, from the recogniser to the record, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.engines.fallback.recogniser import FallbackRecogniser
from app.engines.ports import UNCLEAR, RecognitionHints, TextDelta, Transcript
from app.voice.events import CallerWord
from config.engines import FallbackSettings
from tests.app.voice.conversation import Model, call, hear_reply, profile, until
from tests.fakes.leg import FakeLeg
from tests.fakes.recogniser import FakeRecogniser, FakeRecogniserStream

BEFORE_ONSET = 0.3  # seconds of a segment before its first word of speech: the fake's first word begins there


class LosingRecogniser(FakeRecogniser):
    """Loses every segment."""

    name = "losing"

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> FakeRecogniserStream:
        return super().open(hints, lambda heard: sink(replace(heard, text="", words=(), lost=True)))


def begun(words: tuple[CallerWord, ...]) -> list[tuple[str, float]]:
    return [(word.text, word.started) for word in words]


def test_a_turn_is_recorded_with_its_words() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.hear(0.5)
        await leg.say(1.0)
        await hear_reply(leg)

    agent = profile(says={"greeting": ""})
    _, recorder = call(
        caller, agent, recogniser=FakeRecogniser(["where is it"], tells_times=True, language="en-GB")
    )
    (turn,) = recorder.turns
    where, is_, it = turn.caller_words
    assert [word.text for word in turn.caller_words] == ["where", "is", "it"]
    assert where.started == pytest.approx(0.5 - BEFORE_ONSET, abs=0.04)
    assert (is_.started - where.started, it.ended - where.started) == pytest.approx((0.2, 0.6))
    assert (where.confidence, turn.caller_confidence, turn.caller_language) == (0.9, 0.9, "en-GB")
    assert turn.caller_started == pytest.approx(0.5, abs=0.04)
    assert turn.caller_ended == pytest.approx(1.5, abs=0.04)


def test_a_turn_that_goes_on_holds_the_words_of_both_parts() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.hear(0.5)
        await leg.say(0.6)
        await leg.hear(0.4)  # longer than the end of turn; the model has been asked, nothing was said
        await leg.say(0.6)
        await hear_reply(leg)

    _, recorder = call(caller, recogniser=FakeRecogniser(["where is", "my parcel"], tells_times=True))
    (turn,) = recorder.turns
    assert turn.caller_text == "where is my parcel"
    first_ended = 1.26  # the pause was known: the second segment repeats nothing
    expected = [("where", 0.2), ("is", 0.4), ("my", first_ended), ("parcel", first_ended + 0.2)]
    assert [word for word, _ in begun(turn.caller_words)] == [word for word, _ in expected]
    assert [at for _, at in begun(turn.caller_words)] == pytest.approx([at for _, at in expected], abs=0.05)


def test_words_that_were_never_answered_are_recorded_too() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.hear(0.5)
        await leg.say(0.6)
        await leg.hear(0.2)

    _, recorder = call(caller, recogniser=FakeRecogniser(["never mind"], tells_times=True))
    (turn,) = recorder.turns
    assert turn.reply_text == ""
    assert [word.text for word in turn.caller_words] == ["never", "mind"]


def test_a_yes_over_the_end_of_a_question_is_an_answer_with_its_words() -> None:
    model = Model([TextDelta("Is it the large brown one from Monday?")], [TextDelta("Good.")])

    async def caller(leg: FakeLeg) -> None:
        await leg.say(0.6)
        await until(leg, leg.agent_talks)
        await leg.hear(1.2)
        await leg.say(0.12)
        await hear_reply(leg)
        await hear_reply(leg)

    recogniser = FakeRecogniser(["about my parcel", "yes"], tells_times=True)
    _, recorder = call(caller, model=model, recogniser=recogniser)
    first, second = recorder.turns
    assert [heard.text for heard in first.backchannels] == ["yes"]
    assert second.caller_text == "yes"
    (word,) = second.caller_words
    assert word.text == "yes"
    assert second.caller_started is not None
    assert word.started == pytest.approx(second.caller_started - BEFORE_ONSET, abs=0.05)


def test_an_engine_that_tells_nothing_leaves_nothing() -> None:
    async def caller(leg: FakeLeg) -> None:
        await hear_reply(leg)
        await leg.say(0.6)
        await hear_reply(leg)

    _, recorder = call(caller, profile(says={"greeting": "Hello."}), recogniser=LosingRecogniser())
    greeting, unclear = recorder.turns
    assert (greeting.caller_words, greeting.caller_confidence, greeting.caller_language) == ((), None, None)
    assert unclear.caller_text == UNCLEAR
    assert unclear.caller_words == ()


def test_an_engine_that_takes_over_hears_the_words_where_they_were_said() -> None:
    """It is given the segment again, after the first engine lost it."""

    async def caller(leg: FakeLeg) -> None:
        await leg.hear(0.5)
        await leg.say(0.6)
        await leg.hear(0.06)
        await hear_reply(leg)

    recogniser = FallbackRecogniser(
        [LosingRecogniser(), FakeRecogniser(["where is it"], tells_times=True, final_after=0.2)],
        FallbackSettings(),
    )
    _, recorder = call(caller, recogniser=recogniser)
    (turn,) = recorder.turns
    assert [word.text for word in turn.caller_words] == ["where", "is", "it"]
    assert turn.caller_words[0].started == pytest.approx(0.5 - BEFORE_ONSET, abs=0.04)
