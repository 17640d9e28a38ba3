"""Whole conversations: turns, barge-ins, silence, and how calls end."""

from __future__ import annotations

import pytest

from app.engines.ports import TextDelta, ToolCall
from app.voice.events import Outcome
from telephony.errors import HangupCause
from telephony.events import MachineDetected
from tests.app.voice.conversation import (
    HEARD,
    TIMED,
    Model,
    call,
    hear_reply,
    profile,
    until,
)
from tests.fakes.leg import FakeLeg
from tests.fakes.recogniser import FakeRecogniser
from tests.fakes.turn_detector import FakeTurnDetector


def test_a_turn_is_answered_and_its_latency_is_the_sum_of_its_stages() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.hear(0.5)
        await leg.say(2.0)
        await hear_reply(leg)

    leg, recorder = call(caller)
    (turn,) = recorder.turns
    assert turn.caller_text == HEARD
    assert turn.heard_text == turn.reply_text
    assert turn.reply_text.startswith("Your box")
    assert not turn.interrupted
    assert turn.caller_started == pytest.approx(0.5, abs=0.04)
    assert turn.caller_ended == pytest.approx(2.5, abs=0.04)
    stages = turn.latency
    assert stages.stt == pytest.approx(100, abs=1)
    assert stages.endpoint == pytest.approx(300, abs=2)
    assert stages.llm == pytest.approx(82, abs=2)  # of 150: it was asked at the final, not at the end
    assert stages.tts == pytest.approx(80, abs=1)
    parts = (stages.endpoint, stages.llm, stages.phrase, stages.tts, stages.send)
    assert stages.response == pytest.approx(sum(part or 0 for part in parts), abs=0.1)
    assert recorder.ended.outcome is Outcome.CALLER
    first = leg.playout.first_heard(2.5, leg.now)
    assert first is not None
    assert first - 2.5 < 0.75


def test_the_lead_stays_small_and_marks_come_at_least_every_half_second() -> None:
    leads: list[float] = []

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await until(leg, leg.agent_talks)
        while leg.agent_talks():
            leads.append(leg.playout.lead(leg.now))
            await leg.hear(0.02)

    call(caller)
    assert max(leads) <= 0.4
    assert max(leads) >= 0.2


def test_a_barge_in_clears_and_cuts_the_context_to_what_was_heard() -> None:
    model = Model(
        [TextDelta("one two three four five six seven eight nine ten eleven twelve. And so on.")],
        [TextDelta("Right.")],
    )

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await until(leg, leg.agent_talks)
        await leg.hear(1.0)
        await leg.say(1.0)
        await hear_reply(leg)

    leg, recorder = call(caller, model=model)
    (clear,) = leg.clears
    first, second = recorder.turns
    assert first.interrupted
    assert first.reply_text.startswith(first.heard_text)
    played = leg.playout.samples(leg.now)
    heard_seconds = sum(abs(int(sample)) > 0 for sample in played[: int(clear * 8000)]) / 8000
    assert len(first.heard_text) * TIMED.seconds_per_character == pytest.approx(heard_seconds, abs=0.4)
    said = [message.text for message in model.requests[1].messages if message.role == "assistant"]
    assert said == [first.heard_text]
    assert "barge_in" in recorder.notes
    assert second.heard_text == "Right."


def test_heard_text_is_exact_to_a_word_wherever_the_caller_barges_in() -> None:
    text = " ".join(f"w{number:02d}" for number in range(60)) + "."
    for tenth in range(1, 40):
        model = Model([TextDelta(text)], [TextDelta("Yes.")])

        async def caller(leg: FakeLeg, wait: float = tenth / 10) -> None:
            await leg.say(0.6)
            await until(leg, leg.agent_talks)
            await leg.hear(wait)
            await leg.say(0.5)
            await hear_reply(leg)

        leg, recorder = call(caller, model=model)
        segments = list(leg.playout.played(leg.clears[0]))
        played = sum(segment.end - segment.start for segment in segments) / 8000
        words_played = played / (4 * TIMED.seconds_per_character)
        assert abs(len(recorder.turns[0].heard_text.split()) - words_played) <= 1, tenth


def test_a_backchannel_does_not_stop_the_agent() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await until(leg, leg.agent_talks)
        await leg.hear(1.0)
        await leg.say(0.12)
        await hear_reply(leg)

    leg, recorder = call(caller, recogniser=FakeRecogniser(["hello there", "mm-hmm"]))
    assert leg.clears == []
    (turn,) = recorder.turns
    assert turn.heard_text == turn.reply_text
    assert [(heard.kind, heard.text) for heard in turn.backchannels] == [("backchannel", "mm-hmm")]


def test_a_caller_who_goes_on_is_answered_once_with_all_the_words() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await leg.hear(0.4)  # longer than the end of turn; the model has been asked, nothing was said
        await leg.say(1.0)
        await hear_reply(leg)

    leg, recorder = call(caller)
    (turn,) = recorder.turns
    assert turn.caller_text == f"{HEARD} {HEARD}"
    assert leg.clears == []


def test_a_silent_caller_is_asked_twice_and_then_let_go() -> None:
    agent = profile(turns={"no_input_seconds": 3.0, "no_input_reprompts": 2})

    async def caller(leg: FakeLeg) -> None:
        await until(leg, lambda: False)

    _, recorder = call(caller, agent)
    assert recorder.notes.count("no_input") == 2
    assert recorder.ended.cause is HangupCause.NO_INPUT
    last = recorder.turns[-1]
    assert last.reply_text == agent.says.no_input_goodbye
    assert last.heard_text == last.reply_text  # it hung up after the last mark, not before


def test_the_greeting_comes_first_and_is_a_turn_without_a_caller() -> None:
    agent = profile(says={"greeting": "Hello there."})

    async def caller(leg: FakeLeg) -> None:
        await hear_reply(leg)

    _, recorder = call(caller, agent)
    (turn,) = recorder.turns
    assert (turn.caller_text, turn.heard_text) == ("", "Hello there.")


def test_the_longest_call_ends_with_a_sentence() -> None:
    agent = profile(turns={"max_call_seconds": 5.0, "no_input_seconds": 60.0})

    async def caller(leg: FakeLeg) -> None:
        await until(leg, lambda: False)

    leg, recorder = call(caller, agent)
    assert recorder.ended.cause is HangupCause.MAX_DURATION
    assert recorder.turns[-1].heard_text == agent.says.max_duration
    assert leg.now < 12


def test_the_agent_hangs_up_after_its_goodbye_was_heard() -> None:
    model = Model([TextDelta("Goodbye and thank you."), ToolCall("1", "end_call", {})])

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await until(leg, lambda: False)

    _, recorder = call(caller, model=model)
    assert recorder.ended.cause is HangupCause.AGENT
    assert recorder.ended.outcome is Outcome.SUCCESS
    assert recorder.turns[-1].heard_text == "Goodbye and thank you."
    assert len(model.requests) == 1


def test_words_said_before_the_hang_up_are_kept() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await leg.hear(0.2)

    _, recorder = call(caller)
    (turn,) = recorder.turns
    assert turn.caller_text.startswith("this is the transcript")
    assert turn.reply_text == ""


def test_hanging_up_during_a_reply_stops_it_and_keeps_what_was_heard() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await until(leg, leg.agent_talks)
        await leg.hear(1.0)

    _, recorder = call(caller)
    (turn,) = recorder.turns
    assert turn.interrupted
    assert 0 < len(turn.heard_text) < len(turn.reply_text)


def test_an_answering_machine_gets_the_message_and_nothing_else() -> None:
    agent = profile(
        says={"greeting": "Hello, this is a long greeting to a person.", "voicemail": "Call us back."}
    )

    async def caller(leg: FakeLeg) -> None:
        await until(leg, leg.agent_talks)
        leg.report(MachineDetected())
        await until(leg, lambda: False)

    leg, recorder = call(caller, agent)
    assert len(leg.clears) == 1
    assert recorder.turns[-1].heard_text == "Call us back."
    assert recorder.ended.cause is HangupCause.AGENT


def test_keys_are_recorded() -> None:
    async def caller(leg: FakeLeg) -> None:
        leg.press("5")
        await leg.hear(0.1)

    _, recorder = call(caller)
    assert recorder.notes == ["dtmf"]


def test_sixty_seconds_of_silence_is_silence() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.hear(60.0)

    _, recorder = call(caller, profile(turns={"no_input_seconds": 10.0, "no_input_reprompts": 9}))
    assert recorder.notes.count("no_input") >= 4
    assert all(turn.caller_text == "" for turn in recorder.turns)


def test_the_sound_of_a_turn_shortens_or_lengthens_its_end() -> None:
    endpointing = {"finished_seconds": 0.3, "usual_seconds": 0.6, "unfinished_seconds": 1.5}
    endpoints = []
    for verdict in (0.98, 0.02, None):
        detector = FakeTurnDetector([verdict])

        async def caller(leg: FakeLeg) -> None:
            await leg.say(1.0)
            await hear_reply(leg)

        _, recorder = call(
            caller,
            profile(turns={"endpointing": endpointing}),
            turn=detector,
            recogniser=FakeRecogniser(["on saturdays"]),
        )
        (turn,) = recorder.turns
        assert detector.heard == [pytest.approx(8000 * 1.15, abs=500)]
        endpoints.append(turn.latency.endpoint or 0.0)
    sooner, later, by_words = endpoints
    assert sooner < by_words - 50
    assert later > by_words + 50
