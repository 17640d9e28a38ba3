"""What a conversation does about its recording: in whole calls, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from app.engines.build import Engines
from app.engines.ports import TextDelta, ToolCall
from app.engines.stt.timed import TimedRecogniser
from app.engines.tts.timed import TimedSynthesiser
from app.voice.session import CallSession
from config.engines import TimedSettings
from telephony.errors import HangupCause
from tests.app.voice.conversation import TIMED, Caller, Model, hear_reply, profile
from tests.fakes.clock import run_virtual
from tests.fakes.detector import FakeDetector
from tests.fakes.leg import FakeLeg
from tests.fakes.recorder import FakeRecorder
from tests.fakes.recording import FakeRecording

CONSENT = "This call may be recorded."
ANSWER = [TextDelta("Certainly.")]


def call(
    caller: Caller, *replies: Any, says: str = "yes", recorded: bool = True, **settings: Any
) -> tuple[FakeRecording, FakeRecorder]:
    """One call whose agent has these ``recording`` settings; the recogniser hears ``says``."""
    tools = settings.pop("tools", ())
    control, recorder = settings.pop("control", None) or FakeRecording(), FakeRecorder()
    timed = TimedSettings(transcript=says)

    async def run() -> None:
        leg = FakeLeg()
        agent = profile(recording=settings, tools=tools, says={"greeting": "Hello, this is Ann."})
        engines = Engines(
            FakeDetector(),
            TimedRecogniser(timed),
            Model(*(replies or (ANSWER, ANSWER, ANSWER))),
            TimedSynthesiser(TIMED),
            None,
        )
        session = CallSession(uuid4(), agent, 1, leg, engines, recorder, 0.3, control if recorded else None)
        async with asyncio.timeout(600), asyncio.TaskGroup() as tasks:
            conversation = tasks.create_task(session.run())
            await asyncio.sleep(0)
            await caller(leg)
            leg.hang_up(HangupCause.CALLER)
            await conversation

    run_virtual(run())
    return control, recorder


async def listens(leg: FakeLeg) -> None:
    await hear_reply(leg)


async def answers(leg: FakeLeg) -> None:
    await hear_reply(leg)
    await leg.say(0.8)
    await hear_reply(leg)


def test_without_consent_everything_is_recorded() -> None:
    control, recorder = call(listens)
    assert control.told == ["begin"]
    assert recorder.turns[0].reply_text == "Hello, this is Ann."


def test_a_call_that_is_not_recorded_is_not_said_to_be() -> None:
    control, recorder = call(listens, recorded=False, consent=CONSENT)
    assert control.told == []
    assert recorder.turns[0].reply_text == "Hello, this is Ann."


def test_the_sentence_comes_before_the_greeting() -> None:
    control, recorder = call(listens, consent=CONSENT)
    assert recorder.turns[0].heard_text == f"{CONSENT} Hello, this is Ann."
    assert recorder.notes.count("recording_announced") == 1
    assert control.told[0] == "begin"


def test_where_consent_is_required_nothing_is_recorded_before_it_was_heard() -> None:
    control, early = FakeRecording(), list[str]()

    async def caller(leg: FakeLeg) -> None:
        await leg.hear(1.0)  # in the middle of the sentence
        early.extend(control.told)
        await hear_reply(leg)

    call(caller, consent=CONSENT, consent_required=True, control=control)
    assert early == []
    assert control.told == ["begin"]


def test_a_call_that_ends_before_the_sentence_was_heard_is_not_recorded() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.hear(0.5)

    control, recorder = call(caller, consent=CONSENT, consent_required=True)
    assert control.told == []
    assert "recording_announced" not in recorder.notes


def test_a_sentence_that_was_interrupted_is_said_again_before_the_answer() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.hear(0.6)
        await leg.say(1.0)
        await hear_reply(leg)

    control, recorder = call(caller, consent=CONSENT, consent_required=True, says="where is my parcel")
    assert recorder.turns[0].interrupted
    assert recorder.notes.count("recording_announced") == 1
    assert control.told == ["begin"]


@pytest.mark.parametrize("words", ["no", "No, thank you.", "I do not agree."])
def test_a_refusal_deletes_the_recording_and_is_answered(words: str) -> None:
    control, recorder = call(answers, consent=CONSENT, says=words)
    assert control.told == ["begin", "begin", "refuse"]
    assert recorder.turns[1].reply_text == "All right, this call is not recorded. How can I help you?"
    assert recorder.notes.count("recording_refused") == 1


@pytest.mark.parametrize("words", ["yes", "no parcel has come", "where is my parcel"])
def test_other_answers_are_none(words: str) -> None:
    control, recorder = call(answers, consent=CONSENT, says=words)
    assert "refuse" not in control.told
    assert recorder.turns[1].reply_text == "Certainly."


def test_a_later_no_answers_something_else() -> None:
    async def caller(leg: FakeLeg) -> None:
        await hear_reply(leg)
        leg.press("1")
        await hear_reply(leg)
        await leg.say(0.8)
        await hear_reply(leg)

    control, _ = call(caller, consent=CONSENT, says="no")
    assert "refuse" not in control.told


def test_a_key_refuses_too() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.hear(1.0)
        leg.press("9")
        await hear_reply(leg)
        await hear_reply(leg)

    control, recorder = call(caller, consent=CONSENT, consent_required=True, refuse_key="9")
    assert recorder.turns[-1].heard_text == "All right, this call is not recorded. How can I help you?"
    assert control.told == ["refuse"]
    assert "recording_announced" not in recorder.notes


def tool(name: str) -> list[Any]:
    return [ToolCall("1", name, {})]


def test_the_model_pauses_and_resumes() -> None:
    async def caller(leg: FakeLeg) -> None:
        await answers(leg)
        await leg.say(0.8)
        await hear_reply(leg)

    control, recorder = call(
        caller,
        tool("pause_recording"),
        [TextDelta("Your card number, please.")],
        tool("resume_recording"),
        ANSWER,
        tools=("pause_recording", "resume_recording"),
    )
    assert control.told == ["begin", "pause", "resume"]
    assert recorder.notes.count("recording_paused") == recorder.notes.count("recording_resumed") == 1


def test_a_pause_ends_by_itself() -> None:
    async def caller(leg: FakeLeg) -> None:
        await answers(leg)
        await leg.hear(40)

    control, _ = call(
        caller,
        tool("pause_recording"),
        [TextDelta("Your card number, please.")],
        tools=("pause_recording",),
        pause_seconds=30,
    )
    assert control.told == ["begin", "pause", "resume"]


def test_the_agents_words_pause_until_its_next_reply_was_heard() -> None:
    async def caller(leg: FakeLeg) -> None:
        await answers(leg)
        await leg.say(0.8)
        await hear_reply(leg)

    control, _ = call(
        caller, [TextDelta("Tell me your Card-Number, please.")], ANSWER, pause_words=["card number"]
    )
    assert control.told == ["begin", "pause", "resume"]


def test_consent_needs_a_sentence() -> None:
    with pytest.raises(ValidationError, match="needs a sentence"):
        profile(recording={"consent_required": True})
