"""What is made of a call without a language model: counted, quoted, found by rules, and nothing invented."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from app.agents.files import read_profiles
from app.engines.llm.script import DigitsSlot, Intent, Lookup, Script
from app.postcall.classification import contains, disposition_of, fields_of
from app.postcall.plan import PLAN, STEPS, Blocked, Hopeless, Ready, State, readiness, to_do_again
from app.postcall.scorecard import counted, total
from app.postcall.sentiment import can_judge, feelings, label, overall
from app.postcall.statistics import statistics_of
from app.postcall.summary import extract
from app.voice.after_call import AfterCall, AskedField, Criterion, Disposition
from app.voice.events import Backchannel
from app.voice.profile import AgentProfile
from config.settings import AGENTS
from tests.app.postcall.calls import asking, finished, said

SCRIPT = Script(
    intents={
        "track_parcel": Intent(
            phrases=("where is my parcel",),
            slot=DigitsSlot(name="parcel_number", length=5, ask="Which?", retry="Again?"),
            lookup=Lookup(table="parcels", key="parcel_number", found="{status}", missing="None."),
        ),
        "opening_hours": Intent(phrases=("when are you open",), say="From eight to six."),
    }
)


# The plan


def test_every_step_comes_after_those_it_waits_for() -> None:
    for position, step in enumerate(PLAN):
        assert (step.needs | step.after) <= set(STEPS[:position])


def test_whatever_is_made_of_words_needs_them_redacted() -> None:
    free = {"finalise_recording", "redact", "compute_statistics"}
    assert all("redact" in step.needs for step in PLAN if step.name not in free)


def test_readiness() -> None:
    notify = PLAN[-1]
    settled = dict.fromkeys(STEPS, State.DONE)
    assert readiness(notify, settled) == Ready()
    assert readiness(notify, {**settled, "summarise": State.FAILED}) == Ready()
    assert readiness(notify, {**settled, "summarise": State.WAITING}) == Blocked("summarise")
    assert readiness(notify, {**settled, "redact": State.FAILED}) == Hopeless("redact")
    assert readiness(notify, {}) != Ready()


def test_what_makes_use_of_a_step_is_done_again_with_it() -> None:
    assert to_do_again("summarise") == {"summarise", "notify"}
    assert to_do_again("index_transcript") == {"index_transcript"}
    assert to_do_again("finalise_recording") >= {"redact", "summarise", "notify"}


# Statistics


def test_who_spoke_how_long() -> None:
    call = finished(
        said("", "Hello.", reply_started=0.5, reply_ended=1.5),
        said(
            "where is it",
            "There.",
            caller_started=2.0,
            caller_ended=3.0,
            reply_started=3.5,
            reply_ended=5.0,
            backchannels=(Backchannel("mm-hmm", "backchannel", 4.0, 4.25),),
        ),
        notes=("barge_in", "barge_in", "dtmf"),
    )  # fmt: skip
    found = statistics_of(call)
    assert (found.turn_count, found.barge_ins, found.interruptions) == (1, 2, 0)
    assert (found.caller_seconds, found.agent_seconds) == (1.25, 2.5)


def test_what_is_not_known_is_not_made_up() -> None:
    found = statistics_of(finished(said("", "Hello.")))
    assert (found.caller_seconds, found.agent_seconds, found.turn_count) == (None, None, 0)


@pytest.mark.parametrize(
    ("went_on", "interrupted", "expected"),
    [(5.3, True, 1), (4.9, True, 1), (5.7, True, 0), (9.0, True, 0), (5.3, False, 0)],
)
def test_the_agent_interrupts_who_had_not_finished(went_on: float, interrupted: bool, expected: int) -> None:
    """The reply begins at 5.0: whoever speaks on within 0.5 s of it does not answer it."""
    first = said("my number is", "Sure.", caller_ended=4.0, response_ms=1000.0, interrupted=interrupted)
    second = said("one two three", "Thanks.", caller_started=went_on, caller_ended=went_on + 1)
    assert statistics_of(finished(first, second)).interruptions == expected


# The summary


def test_a_summary_says_what_was_asked_answered_and_how_it_ended() -> None:
    call = finished(
        said("", "Hello, this is Meadow Parcel."),
        said("where is my parcel", "Please tell me the number."),
        said("one two three four five", "It is out for delivery."),
        said("when are you open", "From eight to six."),
        profile=asking(SCRIPT),
        notes=(("tool_called", {"tool": "look_up"}), "no_match", "no_match"),
        cause="caller",
    )
    assert extract(call) == (
        'The caller asked (track parcel): "where is my parcel". '
        'The agent answered: "It is out for delivery". '
        'The caller asked (opening hours): "when are you open". '
        'The agent answered: "From eight to six". '
        "Tools used: look_up. The agent did not understand the caller 2 times. The caller hung up."
    )


def test_a_summary_without_a_script_quotes() -> None:
    call = finished(said("I have a toothache"), said('they call it "wisdom"'), cause="transferred")
    assert extract(call) == (
        'The caller began with: "I have a toothache". Last, the caller said: "they call it \'wisdom\'". '
        "The caller was connected with a person."
    )
    assert extract(finished()) == (
        "The caller said nothing that was recognised. It is not known how the call ended."
    )


# Classification


def classified(*dispositions: Disposition, **call: Any) -> str | None:
    turns = call.pop("turns", ())
    return disposition_of(finished(*turns, profile=asking(SCRIPT, dispositions=dispositions), **call))[0]


def test_the_first_disposition_that_fits() -> None:
    wanted = (
        Disposition(name="transferred", title="t", tools=("transfer_call",)),
        Disposition(name="tracked", title="t", intents=("track_parcel",)),
        Disposition(name="angry", title="t", phrases=("this is a scandal",)),
        Disposition(name="broken", title="t", outcomes=("us",)),
    )
    assert classified(*wanted, turns=(said("where is the parcel"),)) == "tracked"
    used = (("tool_called", {"tool": "transfer_call"}),)
    assert classified(*wanted, turns=(said("where is the parcel"),), notes=used) == "transferred"
    assert classified(*wanted, turns=(said("Well, this is a scandal!"),)) == "angry"
    assert classified(*wanted, outcome="us") == "broken"
    assert classified(*wanted, turns=(said("good morning"),), outcome="caller") is None


def test_fields_by_slot_pattern_and_choice() -> None:
    fields = (
        AskedField(name="number", title="t", slot="parcel_number"),
        AskedField(name="order", title="t", pattern=r"order \d+"),
        AskedField(name="size", title="t", type="choice", choices=("small", "large")),
        AskedField(name="count", title="t", type="integer", slot="parcel_number"),
        AskedField(name="day", title="t", type="date"),
    )
    call = finished(
        said("one two three four five"),
        said("no one two three four six of order 77"),
        said("a large one"),
        profile=asking(SCRIPT, fields=fields),
    )
    finds = {"order": [None, "order 77", None]}
    assert fields_of(call, finds) == {
        "number": "12346", "order": "order 77", "size": "large", "count": 12346, "day": None,
    }  # fmt: skip


def test_phrases_are_found_however_they_are_written() -> None:
    assert contains("I'm sorry, that's all.", "that is all")
    assert not contains("that was all", "that is all")
    assert not contains("anything", "")


@pytest.mark.parametrize(
    "after",
    [
        {"dispositions": [{"name": "a", "title": "t"}, {"name": "a", "title": "t"}]},
        {"dispositions": [{"name": "A", "title": "t"}]},
        {"fields": [{"name": "a", "title": "t", "type": "choice"}]},
        {"fields": [{"name": "a", "title": "t", "choices": ["x"]}]},
        {"fields": [{"name": "a", "title": "t", "pattern": "("}]},
        {"fields": [{"name": "a", "title": "t", "type": "integer", "pattern": "x"}]},
        {"rubric": [{"name": "a", "title": "t", "rule": "said"}]},
        {"rubric": [{"name": "a", "title": "t", "weight": 0}]},
        {"retention": {"calls_days": -1}},
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(after: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AfterCall.model_validate(after)


def test_a_profile_may_not_name_what_its_script_lacks() -> None:
    for after in (
        {"dispositions": [{"name": "a", "title": "t", "intents": ["nothing"]}]},
        {"fields": [{"name": "a", "title": "t", "slot": "nothing"}]},
    ):
        with pytest.raises(ValidationError, match="nothing"):
            AgentProfile.model_validate({"name": "x", "after": after})


def test_the_agents_of_a_new_install_ask_for_something() -> None:
    (parcel,) = [profile for profile in read_profiles(AGENTS) if profile.name == "parcel"]
    assert parcel.after.dispositions
    assert parcel.after.rubric


# Sentiment


def test_feelings_of_each_turn_and_over_all() -> None:
    call = finished(
        said("this is a terrible disaster"), said("", "Sorry."), said("oh great thank you so much")
    )
    found = feelings(call)
    assert [(each.index, each.label) for each in found] == [(0, "negative"), (2, "positive")]
    assert label(overall(found)) == "positive"  # it ended well
    assert overall(feelings(finished(said("one two three")))) == 0.0
    assert can_judge("en-GB")
    assert not can_judge("de-DE")


# Scorecard


def mark(call: Any, **criterion: Any) -> float | None:
    return counted(call, Criterion(name="c", title="t", **criterion)).value


def test_what_the_agent_said() -> None:
    call = finished(said("", "Hello, this is Meadow."), said("hi", "Sorry about that."), said("", "Goodbye."))
    assert mark(call, rule="said", phrases=("this is Meadow",), where="first") == 1
    assert mark(call, rule="said", phrases=("goodbye",), where="first") == 0
    assert mark(call, rule="said", phrases=("goodbye", "bye"), where="last") == 1
    assert mark(call, rule="said", phrases=("sorry",)) == 1


def test_how_quickly_it_answered_and_whether_it_understood() -> None:
    turns = [said("a", "b", response_ms=milliseconds) for milliseconds in (300, 400, 500, 2000)]
    call = finished(*turns, notes=("no_match",))
    assert mark(call, rule="quick", kind="scale", milliseconds=800) == 0.75
    assert mark(call, rule="quick", milliseconds=800) == 0
    assert mark(call, rule="quick", milliseconds=2000) == 1
    assert mark(call, rule="understood", kind="scale") == 0.75
    assert mark(call, rule="uninterrupted") == 1
    assert mark(finished(), rule="quick") is None


def test_the_score_is_weighed_and_leaves_out_what_cannot_be_told() -> None:
    call = finished(said("hi", "Hello.", response_ms=100.0))
    marks = [
        counted(call, Criterion(name="a", title="t", weight=3, rule="said", phrases=("hello",))),
        counted(call, Criterion(name="b", title="t", weight=1, rule="said", phrases=("goodbye",))),
    ]
    assert total(marks) == 75.0
    assert total([counted(finished(), Criterion(name="c", title="t", rule="quick"))]) is None
