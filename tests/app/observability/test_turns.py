"""What is shown of calls: stages with their times and engines, and nothing of what was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

import pytest

from app.observability.turns import OUTAGE, CallBegan, CallOver, Follower, Happened, Seen, Stage, TurnMeasured
from app.voice.events import CallRecord, CallRefused, Outcome
from tests.app.observability.told import ENGINES, SECRETS, answered, at, begun, greeted, note, over, switched
from tests.app.voice.conversation import call, hear_reply

CALL = uuid4()


def seen(*events: CallRecord) -> Sequence[Seen]:
    follower = Follower(ENGINES)
    return [shown for event in (begun(CALL), *events) if (shown := follower.take(event)) is not None]


def stages(*events: CallRecord) -> dict[str, Stage]:
    """Those of the last turn."""
    turns = [shown for shown in seen(*events) if isinstance(shown, TurnMeasured)]
    return {stage.name: stage for stage in turns[-1].stages}


def test_a_call_from_its_beginning_to_its_end() -> None:
    began, turn, ended = seen(answered(CALL), over(CALL))
    assert began == CallBegan(CALL, at(0), "parcel", 1, "twilio", "inbound", "en-US")
    assert isinstance(turn, TurnMeasured)
    assert (turn.agent, turn.index, turn.interrupted) == ("parcel", 0, True)
    assert (turn.began, turn.ended) == (at(7.425), at(14.0))
    assert ended == CallOver(CALL, "parcel", at(30), "caller", "caller", 30.0)


def test_the_stages_lie_one_after_the_other_before_the_reply() -> None:
    found = stages(answered(CALL, replied=10.0))
    ends = {name: stage.ended for name, stage in found.items()}
    assert ends == {
        "stt": at(9.6),
        "endpoint": at(9.725),
        "llm": at(9.875),
        "phrase": at(9.915),
        "tts": at(9.995),
        "send": at(10.0),
        "response": at(10.0),
    }
    assert {name: stage.seconds for name, stage in found.items()} == {
        "stt": 0.09,
        "endpoint": 0.3,
        "llm": 0.15,
        "phrase": 0.04,
        "tts": 0.08,
        "send": 0.005,
        "response": 0.575,
    }


def test_a_stage_has_the_engine_that_the_call_began_with() -> None:
    found = stages(answered(CALL))
    assert {name: (stage.port, stage.engine) for name, stage in found.items() if stage.port} == {
        "stt": ("stt", "vosk"),
        "llm": ("llm", "big"),
        "tts": ("tts", "piper"),
    }
    assert {stage.engine for stage in found.values() if not stage.port} == {""}


@pytest.mark.parametrize(
    ("seconds", "engine"),
    [(5.0, "small"), (9.8, "small"), (9.95, "big"), (13.0, "big")],
    ids=["before the turn", "before the first token", "after it", "while it is heard"],
)
def test_the_engine_is_the_one_that_gave_the_first_token(seconds: float, engine: str) -> None:
    assert stages(switched(CALL, seconds, "llm", "small"), answered(CALL))["llm"].engine == engine
    later = answered(CALL, 1, replied=20.0, ended=24.0)
    after = stages(switched(CALL, seconds, "llm", "small"), answered(CALL), later)
    assert after["llm"].engine == "small"


def test_engines_of_other_ports_and_calls_stay() -> None:
    other = uuid4()
    found = stages(begun(other), switched(other, 5.0, "tts", "espeak"), answered(CALL))
    assert found["tts"].engine == "piper"
    found = stages(switched(CALL, 5.0, "llm", "small"), answered(CALL))
    assert (found["stt"].engine, found["tts"].engine) == ("vosk", "piper")


def test_an_outage_lasts_no_longer_than_its_reply() -> None:
    outage = note(CALL, "engine_outage", 9.874, port="llm")
    assert stages(outage, answered(CALL))["llm"].engine == OUTAGE
    later = answered(CALL, 1, replied=20.0, ended=24.0)
    assert stages(outage, answered(CALL), later)["llm"].engine == "big"
    moved = (switched(CALL, 9.8, "llm", "small"), outage, answered(CALL), later)
    assert stages(*moved)["llm"].engine == "small"
    assert stages(note(CALL, "engine_outage", 12.0, port="llm"), answered(CALL))["llm"].engine == "big"


def test_without_the_reply_s_time_durations_are_known_alone() -> None:
    found = stages(replace(answered(CALL), replied_at=None, final_at=None))
    assert {stage.ended for stage in found.values()} == {None}
    assert found["llm"].engine == "big"


def test_greetings_have_no_stages() -> None:
    (_, turn) = seen(greeted(CALL))
    assert isinstance(turn, TurnMeasured)
    assert turn.stages == ()
    assert turn.began == at(0.1)


def test_a_turn_begins_within_the_call() -> None:
    (_, turn) = seen(answered(CALL, replied=1.0, ended=3.0))
    assert isinstance(turn, TurnMeasured)
    assert turn.began == at(0)


def test_what_happened_is_told_without_what_was_said() -> None:
    shown = seen(
        note(CALL, "barge_in", 11.0, after=0.4, text="where is my parcel"),
        note(CALL, "backchannel", 11.5, kind="backchannel", text="mm-hmm", at=4.0),
        note(CALL, "dtmf", 12.0, digit="4111"),
        note(CALL, "a_note_of_tomorrow", 12.5, text="where is my parcel"),
        answered(CALL),
        over(CALL),
    )
    assert [(one.name, dict(one.detail)) for one in shown if isinstance(one, Happened)] == [
        ("barge_in", {"after": 0.4}),
        ("backchannel", {"kind": "backchannel"}),
    ]
    assert not [secret for secret in SECRETS if secret in repr(shown)]


def test_what_belongs_to_no_running_call_shows_nothing() -> None:
    stranger = uuid4()
    assert len(seen(note(stranger, "barge_in", 1.0), answered(stranger), over(stranger))) == 1
    ended = seen(over(CALL), note(CALL, "transferred", 31.0), CallRefused(uuid4(), at(1), "CA1", "full"))
    assert [type(one) for one in ended] == [CallBegan, CallOver]


def test_outcomes_are_told() -> None:
    ended = seen(over(CALL, outcome=Outcome.US))[-1]
    assert isinstance(ended, CallOver)
    assert (ended.outcome, ended.cause) == ("us", "server_error")


def test_a_conversation_tells_when_its_reply_was_sent() -> None:
    """Virtual time: how long before the turn's end, which is told by another clock."""

    async def caller(leg: object) -> None:
        await leg.say(1.0)  # type: ignore[attr-defined]
        await hear_reply(leg)  # type: ignore[arg-type]

    _, recorder = call(caller)
    (turn,) = [one for one in recorder.turns if one.latency.response is not None]
    assert turn.replied_at is not None
    assert turn.final_at is not None
    assert turn.reply_started is not None
    assert turn.reply_ended is not None
    heard = turn.reply_ended - turn.reply_started
    assert (turn.at - turn.replied_at).total_seconds() == pytest.approx(heard, abs=0.15)
    between = (turn.replied_at - turn.final_at).total_seconds() * 1000
    assert 0 < between < (turn.latency.response or 0)
