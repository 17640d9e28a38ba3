"""Conversations whose model, voice or recogniser fails, refuses or is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

import numpy as np
import pytest
from prometheus_client import REGISTRY

from app.engines.errors import EngineError
from app.engines.fallback.language_model import FallbackLanguageModel
from app.engines.fallback.recogniser import FallbackRecogniser
from app.engines.fallback.synthesiser import FallbackSynthesiser
from app.engines.ports import (
    Delta,
    RecognitionHints,
    Refusal,
    ReplyRequest,
    SpeechChunk,
    TextDelta,
    Transcript,
    VoiceSpec,
)
from app.engines.stt.timed import TimedRecogniser
from app.engines.tts.timed import TimedSynthesiser
from app.voice.events import Outcome
from app.voice.profile import OUTAGE
from config.engines import FallbackSettings
from tests.app.voice.conversation import (
    HEARD,
    TIMED,
    BrokenVoice,
    Model,
    call,
    hear_reply,
    profile,
    until,
)
from tests.fakes.language_model import FakeLanguageModel
from tests.fakes.leg import FakeLeg
from tests.fakes.recogniser import FakeRecogniser, FakeRecogniserStream
from tests.fakes.synthesiser import FakeSynthesiser


def test_a_refusal_is_kept_apart_from_what_the_model_said_before_and_is_timed() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await hear_reply(leg)

    for begun, between in (([], ""), (["To open it, you first"], " "), (["Let me see. "], "")):
        model = Model([*map(TextDelta, begun), Refusal("")])
        _, recorder = call(caller, model=model)
        (turn,) = recorder.turns
        assert turn.reply_text == f"{''.join(begun)}{between}{profile().says.refusal}"
        assert None not in {turn.latency.llm, turn.latency.phrase}


@pytest.mark.parametrize(("pause", "apologies"), [(0.5, 0), (3.0, 1)])
def test_an_outage_is_noted_with_the_reply_that_is_heard(pause: float, apologies: int) -> None:
    """After the short pause the caller goes on: the reply that the outage's script gave is dropped."""
    down = EngineError("model", "is away")
    model = Model([down], [down], [TextDelta("All is well.")], [TextDelta("All is well.")])

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await leg.hear(pause)
        await leg.say(1.0)
        await hear_reply(leg)

    before = outages()
    _, recorder = call(
        caller,
        profile(turns={"endpointing": {"usual_seconds": 0.8}}),
        model=FallbackLanguageModel([model], FallbackSettings()).for_call(lambda *_: None),
    )
    assert len(model.requests) > 2
    assert [turn.reply_text for turn in recorder.turns].count(OUTAGE.no_match[0]) == apologies
    assert recorder.notes.count("engine_outage") == apologies
    assert outages() - before == apologies


def outages() -> float:
    return REGISTRY.get_sample_value("trunkline_engine_outages_total") or 0.0


def test_a_failing_model_is_apologised_for_and_the_call_goes_on() -> None:
    model = Model([EngineError("model", "is away")], [TextDelta("Here again.")])

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await hear_reply(leg)
        await leg.say(1.0)
        await hear_reply(leg)

    _, recorder = call(caller, model=model)
    assert [turn.heard_text for turn in recorder.turns] == [
        "",
        profile().says.apology,
        "Here again.",
    ]


def test_a_model_that_never_answers_is_given_up() -> None:
    class Silent(Model):
        async def reply(self, request: ReplyRequest) -> AsyncGenerator[Delta, None]:
            await asyncio.sleep(3600)
            yield TextDelta("")

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await hear_reply(leg)

    _, recorder = call(caller, profile(turns={"reply_seconds": 2.0}), model=Silent())
    assert "watchdog" in recorder.notes
    assert recorder.turns[-1].heard_text == profile().says.apology


def test_an_agent_that_cannot_speak_at_all_hangs_up_as_our_fault() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await until(leg, lambda: False)

    leg, recorder = call(caller, voice=BrokenVoice(TIMED))
    assert recorder.ended.outcome is Outcome.US
    assert leg.now < 10


def test_lost_marks_do_not_stop_the_call() -> None:
    async def caller(leg: FakeLeg) -> None:
        for _ in range(2):
            await leg.say(1.0)
            await hear_reply(leg)
            await leg.hear(3.0)

    _, recorder = call(caller, lost_marks=True)
    assert len(recorder.turns) == 2
    assert recorder.notes.count("watchdog") == 2
    assert all(turn.heard_text == turn.reply_text for turn in recorder.turns)


def test_a_voice_that_makes_ten_minutes_at_once_is_held_back() -> None:
    class Flood(TimedSynthesiser):
        async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
            for _ in range(10):
                yield SpeechChunk(np.full(60 * 8000, 3000, dtype=np.int16))

    leads: list[float] = []

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await until(leg, leg.agent_talks)
        for _ in range(300):
            leads.append(leg.playout.lead(leg.now))
            await leg.hear(0.02)
        await leg.say(1.0)
        await leg.hear(0.2)

    leg, recorder = call(caller, voice=Flood(TIMED))
    assert max(leads) <= 0.4
    assert len(leg.clears) == 1
    assert recorder.turns[0].interrupted


def test_a_voice_that_breaks_off_is_apologised_for() -> None:
    class Breaks(TimedSynthesiser):
        async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
            async for chunk in super().speak(phrase, voice):
                yield chunk
                if phrase.startswith("Your"):
                    raise EngineError("voice", "broke off")

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await hear_reply(leg)
        await leg.hear(5.0)

    _, recorder = call(caller, voice=Breaks(TIMED))
    first, second = recorder.turns
    assert first.interrupted
    assert len(first.heard_text) < len(first.reply_text)
    assert second.heard_text == profile().says.apology


def test_a_refusal_is_answered_in_the_agents_own_words() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await hear_reply(leg)

    _, recorder = call(caller, profile(says={"refusal": "I must not."}), Model([Refusal("As a model, no.")]))
    assert [turn.heard_text for turn in recorder.turns] == ["I must not."]
    assert "model_refused" in recorder.notes


def test_speech_whose_words_were_lost_is_asked_for_again() -> None:
    class Deaf(FakeRecogniser):
        def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> FakeRecogniserStream:
            return super().open(
                hints, lambda transcript: sink(replace(transcript, text="", lost=transcript.final))
            )

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await hear_reply(leg)

    _, recorder = call(caller, profile(says={"no_match": ["Say that again?"]}), recogniser=Deaf())
    assert [turn.reply_text for turn in recorder.turns] == ["Say that again?"]


def test_a_call_survives_losing_its_model_its_voice_and_its_ears() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await hear_reply(leg)
        await leg.say(1.0)
        await hear_reply(leg)

    class Ears(FakeRecogniser):
        def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> FakeRecogniserStream:
            return super().open(hints, lambda transcript: sink(replace(transcript, lost=transcript.final)))

    settings = FallbackSettings()
    broken = FakeLanguageModel([("We are open from ", "eight to ", EngineError("first", "killed"))])
    other = FakeLanguageModel(otherwise=("six every day.",))
    voice = FakeSynthesiser(fail_after=12)
    _, recorder = call(
        caller,
        model=FallbackLanguageModel([broken, other], settings).for_call(lambda *_: None),
        voice=FallbackSynthesiser([voice, TimedSynthesiser(TIMED)], settings).for_call(lambda *_: None),
        recogniser=FallbackRecogniser([Ears(), TimedRecogniser(TIMED)], settings).for_call(lambda *_: None),
    )
    first, second = recorder.turns
    assert first.caller_text == second.caller_text == HEARD
    assert first.heard_text == first.reply_text == "We are open from eight to six every day."
    assert second.heard_text == second.reply_text == "six every day."


@pytest.mark.parametrize(("answer", "transferred"), [("yes please", True), ("no thanks", False)])
def test_without_a_model_the_agent_apologises_and_offers_a_person(answer: str, transferred: bool) -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await hear_reply(leg)
        await leg.say(1.0)
        await hear_reply(leg)

    down = FakeLanguageModel(otherwise=(EngineError("first", "down", retryable=False),))
    _, recorder = call(
        caller,
        model=FallbackLanguageModel([down], FallbackSettings()).for_call(lambda *_: None),
        recogniser=FakeRecogniser(["where is it", answer]),
    )
    first, second = recorder.turns
    assert first.heard_text == OUTAGE.no_match[0]
    assert second.caller_text == answer
    assert ("transfer_requested" in recorder.notes) is transferred
    assert recorder.ended.outcome is Outcome.SUCCESS
