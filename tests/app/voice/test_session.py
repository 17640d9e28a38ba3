"""Whole conversations in virtual time: a fake leg and detector, the timed engines, the real session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from app.engines.build import Engines
from app.engines.errors import EngineError
from app.engines.llm.timed import TimedLanguageModel
from app.engines.ports import Delta, ReplyRequest, SpeechChunk, TextDelta, ToolCall, VoiceSpec
from app.engines.stt.timed import TimedRecogniser
from app.engines.tts.timed import TimedSynthesiser
from app.voice.events import Outcome
from app.voice.ports import AfterReply, ToolResult
from app.voice.profile import AgentProfile
from app.voice.session import CallSession
from app.voice.tools import EndCall
from config.settings import TimedSettings
from telephony.errors import HangupCause
from telephony.events import MachineDetected
from telephony.media.frame import silence
from tests.fakes.clock import run_virtual
from tests.fakes.detector import FakeDetector
from tests.fakes.leg import FakeLeg
from tests.fakes.recogniser import FakeRecogniser
from tests.fakes.recorder import FakeRecorder
from tests.fakes.synthesiser import FakeSynthesiser
from tests.fakes.turn_detector import FakeTurnDetector

TIMED = TimedSettings()
HEARD = TIMED.transcript
Caller = Callable[[FakeLeg], Awaitable[None]]


def profile(**changes: Any) -> AgentProfile:
    turns = {
        "endpointing": {"usual_seconds": 0.3},
        "overlap": {"confirm_seconds": 0.2},
        **changes.pop("turns", {}),
    }
    return AgentProfile.model_validate({"name": "test", "turns": turns, **changes})


class Model:
    """A language model that says what it is told to, at once."""

    name = "fixed"

    def __init__(self, *replies: list[Delta | Exception]) -> None:
        self.replies = list(replies)
        self.requests: list[ReplyRequest] = []

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def reply(self, request: ReplyRequest) -> AsyncIterator[Delta]:
        self.requests.append(request)
        for delta in self.replies.pop(0):
            if isinstance(delta, Exception):
                raise delta
            yield delta


class BrokenVoice(TimedSynthesiser):
    async def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        raise EngineError("voice", "is broken")
        yield SpeechChunk(silence(0))  # type: ignore[unreachable]


def call(
    caller: Caller,
    agent: AgentProfile | None = None,
    model: Any = None,
    voice: Any = None,
    recogniser: Any = None,
    turn: FakeTurnDetector | None = None,
    sessions: list[CallSession] | None = None,
    lost_marks: bool = False,
) -> tuple[FakeLeg, FakeRecorder]:
    """One call, from its first frame to its record."""

    async def run() -> tuple[FakeLeg, FakeRecorder]:
        leg, recorder = FakeLeg(lost_marks=lost_marks), FakeRecorder()
        engines = Engines(
            FakeDetector(),
            recogniser or TimedRecogniser(TIMED),
            model or TimedLanguageModel(TIMED),
            voice or TimedSynthesiser(TIMED),
            turn,
        )
        session = CallSession(uuid4(), agent or profile(), 1, leg, engines, recorder, 0.3)
        if sessions is not None:
            sessions.append(session)
        async with asyncio.timeout(600), asyncio.TaskGroup() as tasks:
            conversation = tasks.create_task(session.run())
            await asyncio.sleep(0)
            await caller(leg)
            leg.hang_up(HangupCause.CALLER)
            await conversation
        return leg, recorder

    return run_virtual(run())


async def until(leg: FakeLeg, condition: Callable[[], bool]) -> None:
    """Stay on the line, silent, until something happens."""
    while not condition() and not leg.over:
        await leg.hear(0.02)


async def hear_reply(leg: FakeLeg) -> None:
    await until(leg, leg.agent_talks)
    await until(leg, lambda: not leg.agent_talks())
    await leg.hear(0.1)


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


def test_a_tool_is_used_and_its_result_is_spoken() -> None:
    agent = profile(tables={"parcels": {"12345": {"state": "on its way"}}})
    lookup = ToolCall("1", "look_up", {"table": "parcels", "key": "12345"})
    model = Model([TextDelta("One moment."), lookup], [TextDelta("It is on its way.")])

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await hear_reply(leg)
        await leg.hear(3.0)

    _, recorder = call(caller, agent, model=model)
    (turn,) = recorder.turns
    assert turn.heard_text == "One moment. It is on its way."
    tool = [message for message in model.requests[1].messages if message.role == "tool"]
    assert [message.text for message in tool] == ['{"found":true,"state":"on its way"}']
    assert "tool_called" in recorder.notes


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
        async def reply(self, request: ReplyRequest) -> AsyncIterator[Delta]:
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


def test_sixty_seconds_of_silence_is_silence() -> None:
    async def caller(leg: FakeLeg) -> None:
        await leg.hear(60.0)

    _, recorder = call(caller, profile(turns={"no_input_seconds": 10.0, "no_input_reprompts": 9}))
    assert recorder.notes.count("no_input") >= 4
    assert all(turn.caller_text == "" for turn in recorder.turns)


def test_a_reply_is_begun_before_the_turn_is_surely_over_and_heard_only_then() -> None:
    model = Model([TextDelta("Here it is.")])

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await leg.hear(0.28)  # the final came, the turn is not over
        assert len(model.requests) == 1
        assert not leg.agent_talks()
        await hear_reply(leg)

    _, recorder = call(caller, model=model)
    (turn,) = recorder.turns
    assert turn.heard_text == "Here it is."
    assert turn.latency.response is not None
    assert turn.latency.response < 330
    assert len(model.requests) == 1
    (totals,) = [note.detail for note in recorder.noted("speculation")]
    assert totals == {"started": 1, "used": 1, "dropped": 0}


def test_a_speculation_is_dropped_when_the_caller_goes_on_and_few_are_made() -> None:
    once: list[Delta | Exception] = [TextDelta("Here it is.")]
    model = Model(once, once, once, once)

    async def caller(leg: FakeLeg) -> None:
        for _ in range(3):
            await leg.say(0.6)
            await leg.hear(0.26)
        await hear_reply(leg)

    _, recorder = call(caller, model=model)
    (turn,) = recorder.turns
    assert turn.caller_text == " ".join([HEARD] * 3)
    (totals,) = [note.detail for note in recorder.noted("speculation")]
    assert totals == {"started": 2, "used": 0, "dropped": 2}
    assert len(model.requests) == 3


def test_a_tool_that_writes_waits_for_the_end_of_the_turn() -> None:
    ran: list[float] = []

    class Booking(EndCall):
        async def run(self, arguments: dict[str, Any]) -> ToolResult:
            ran.append(asyncio.get_running_loop().time())
            return ToolResult("{}", AfterReply.HANG_UP)

    model = Model([ToolCall("1", "end_call", {}), TextDelta("Done.")])
    stopped: list[float] = []

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        stopped.append(asyncio.get_running_loop().time())
        await until(leg, lambda: False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.voice.tools.EndCall", Booking)
        call(caller, model=model)
    assert ran[0] - stopped[0] >= 0.28


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


def test_a_sentence_of_ours_comes_before_what_the_model_still_has_to_say() -> None:
    model = Model([TextDelta("One is here. Two is here. Three is here. Four is here.")])
    sessions: list[CallSession] = []

    async def caller(leg: FakeLeg) -> None:
        await leg.say(1.0)
        await until(leg, leg.agent_talks)
        assert sessions[0].say("Hold the line.")
        await hear_reply(leg)
        await leg.hear(5.0)

    voice = FakeSynthesiser()
    _, recorder = call(caller, model=model, voice=voice, sessions=sessions)
    assert voice.phrases.index("Hold the line.") < voice.phrases.index("Four is here.")
    (turn,) = recorder.turns
    assert turn.heard_text == "One is here. Two is here. Three is here. Four is here."
