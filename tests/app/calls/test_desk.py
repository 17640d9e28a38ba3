"""Which agent answers which number, and what a caller hears when nobody is there."""

from __future__ import annotations

import asyncio
from typing import Any

from app.agents.directory import CLOSED_SENTENCE, ActiveAgent, AgentDirectory
from app.agents.loading import Line
from app.calls.handler import CallDesk
from app.calls.live import LiveCalls
from app.engines.build import Engines
from app.engines.llm.timed import TimedLanguageModel
from app.engines.stt.timed import TimedRecogniser
from app.engines.tts.timed import TimedSynthesiser
from app.numbers.hours import Opening
from app.voice.events import CallEnded, CallNoted, CallStarted, TurnCompleted
from app.voice.profile import AgentProfile
from config.engines import TimedSettings
from telephony.errors import HangupCause
from telephony.ports import LegInfo
from tests.fakes.clock import run_virtual
from tests.fakes.detector import FakeDetector
from tests.fakes.leg import FakeLeg
from tests.fakes.recorder import FakeRecorder

OURS, ELSEWHERE = "+4930123456", "+4930654321"


def agent(name: str) -> ActiveAgent:
    profile = AgentProfile.model_validate(
        {"name": name, "says": {"greeting": f"This is {name}."}, "language": "de-DE"}
    )
    return ActiveAgent(profile, 3, "welcome", 2, "friendly")


def never_open(**closed: Any) -> Opening:
    return Opening.model_validate({"timezone": "UTC", "closed": closed})


def calls(
    opening: Opening | None, to: str = OURS, *, times: int = 1, direction: str = "inbound"
) -> tuple[CallDesk, list[FakeRecorder]]:
    """So many calls of one caller, who listens until somebody hangs up or 6 s are over."""

    async def run() -> tuple[CallDesk, list[FakeRecorder]]:
        settings = TimedSettings()
        engines = Engines(
            FakeDetector(),
            TimedRecogniser(settings),
            TimedLanguageModel(settings),
            TimedSynthesiser(settings),
        )
        agents = {name: agent(name) for name in ("usual", "desk", "night")}
        directory = AgentDirectory(agents, {OURS: Line("desk", opening)})
        recorder = FakeRecorder()
        live = LiveCalls(5, asyncio.get_running_loop().time)
        desk = CallDesk(directory, "usual", engines, recorder, live, 0.3)
        heard = []
        for _ in range(times):
            leg, recorder.events[:] = FakeLeg(), []
            leg.info = LegInfo("fake", "CA1", direction, "+15550001111", to)  # type: ignore[arg-type]
            if direction == "outbound":
                leg.info = LegInfo("fake", "CA1", "outbound", OURS, to)
            async with asyncio.TaskGroup() as tasks:
                talking = tasks.create_task(desk.handle(leg))
                await leg.hear(6.0)
                leg.hang_up(HangupCause.CALLER)
                await talking
            copy = FakeRecorder()
            copy.events = list(recorder.events)
            heard.append(copy)
        return desk, heard

    return run_virtual(run())


def only(recorder: FakeRecorder, kind: type[Any]) -> Any:
    return [event for event in recorder.events if isinstance(event, kind)][-1]


def test_a_number_is_answered_by_its_agent_and_others_by_the_usual_one() -> None:
    for number, expected in ((OURS, "desk"), (ELSEWHERE, "usual"), ("anonymous", "usual")):
        _, (record,) = calls(None, number)
        started = only(record, CallStarted)
        assert (started.agent, started.agent_version) == (expected, 3)
        assert (started.prompt, started.prompt_version) == ("welcome", 2)
        assert (started.voice, started.language) == ("friendly", "de-DE")
        assert only(record, TurnCompleted).heard_text == f"This is {expected}."


def test_a_closed_number_says_so_and_hangs_up() -> None:
    _, (record,) = calls(never_open(say="We are closed. Goodbye."))
    assert only(record, TurnCompleted).heard_text == "We are closed. Goodbye."
    assert only(record, CallEnded).cause is HangupCause.AGENT
    noted = {event.name: event.detail for event in record.events if isinstance(event, CallNoted)}
    assert noted == {"closed": {"then": "hang_up"}}


def test_or_lets_another_agent_answer() -> None:
    _, (record,) = calls(never_open(then="agent", agent="night"))
    assert only(record, CallStarted).agent == "night"


def test_or_puts_the_caller_through_once() -> None:
    opening = never_open(then="transfer", number=ELSEWHERE, say="One moment.")
    desk, (first,) = calls(opening)
    assert only(first, TurnCompleted).heard_text == "One moment."
    assert only(first, CallEnded).cause is HangupCause.TRANSFERRED
    assert [desk.onward("CA1"), desk.onward("CA1"), desk.onward("CA2")] == [ELSEWHERE, "", ""]

    _, (_, second) = calls(opening, times=2)  # nobody took it, and the carrier came back
    assert only(second, TurnCompleted).heard_text == CLOSED_SENTENCE
    assert only(second, CallEnded).cause is HangupCause.AGENT


def test_a_call_that_we_place_knows_no_hours() -> None:
    _, (record,) = calls(never_open(say="Closed."), ELSEWHERE, direction="outbound")
    assert only(record, CallStarted).agent == "desk"
    assert only(record, TurnCompleted).heard_text == "This is desk."
