"""The language of the scenarios: what is read, and how each mistake is explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.reading import ScenarioError, parse, read_all
from tests.scenarios.rules import RULES, find
from tests.scenarios.scenario import After, Ask, At, Fail, Into, Press, Sound, Speak, Use

PATH = Path("some.yaml")
CALL = '# why\ncall: [0.5 caller "hello"]\nexpect: [no clear]\n'


def test_a_whole_scenario_is_read() -> None:
    scenario = parse(
        """# why this matters
complaint: 2
only: virtual
agent: {turns: {no_input_seconds: 3.0}}
model:
  - ["One.", 0.5, {tool: look_up, table: parcels, key: "1"}, {ask_digits: 5}, {fail: away}]
  - Two.
recogniser: {final_after: 0.4, finals: lost, interims: none}
voice: {silent: true}
line: {jitter: 0.04, lost_marks: some, stall: 3.0-4.5, echo_db: -20, noise_dbfs: -45}
call:
  - 0.5-2.5 caller "track a parcel"
  - reply 1 + 1.0 for 0.4 cough at -20 dBFS
  - after reply 1 dtmf "12#"
expect:
  - reply 1 within 0.8
  - wire: no barge_in
""",
        PATH,
    )
    assert (scenario.why, scenario.complaint, scenario.place) == ("why this matters", 2, "virtual")
    assert scenario.profile.turns.no_input_seconds == 3.0
    assert scenario.model == [
        ["One.", 0.5, Use("look_up", {"table": "parcels", "key": "1"}), Ask(5), Fail()],
        ["Two."],
    ]
    assert (scenario.recogniser.final_after, scenario.recogniser.finals) == (0.4, "lost")
    assert scenario.voice.silent
    assert scenario.line.lost_marks == 0.3
    assert [(stall.at, stall.seconds) for stall in scenario.line.stalls] == [(3.0, 1.5)]
    assert [(action.when, action.deed) for action in scenario.actions] == [
        (At(0.5), Speak("track a parcel", 2.0)),
        (Into(1, 1.0), Sound("cough", 0.4, -20.0)),
        (After(1, 0.5), Press("12#")),
    ]
    assert [(wanted.rule, wanted.place, wanted.line) for wanted in scenario.expectations] == [
        ("reply_within", None, 16),
        ("not_noted", "wire", 17),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("call: []", "some.yaml:1: expected a first line '# why this call matters'"),
        ("# why\n- 1", "some.yaml:2: expected some of agent, call, complaint"),
        ("# why\ncall: [", "some.yaml:2: not YAML"),
        ("# why\ncall: [0.5 hang up]", "some.yaml:1: expected 'expect', a list of lines"),
        (CALL + "cal: []", "some.yaml:4: expected one of agent, call, complaint"),
        (CALL + "call: []", "some.yaml:4: 'call' is given twice"),
        (CALL + "complaint: 16", "some.yaml:4: expected a number from 1 to 15; got '16'"),
        (CALL + "only: air", "some.yaml:4: expected virtual or wire; got 'air'"),
        (CALL + "agent:\n  turns:\n    no_input_seconds: soon", "some.yaml:6: agent.turns.no_input_seconds"),
        (CALL + "agent:\n  turns:\n    patience: 3", "some.yaml:6: agent.turns.patience: Extra inputs"),
        (CALL + "agent: nobody", "some.yaml:4: 'agent' expects the fields of an agent's profile"),
        (CALL + "model:\n  - [hello, -1]", "some.yaml:5: the model expects a text, seconds of waiting"),
        (CALL + "model: hello", "some.yaml:4: expected a list"),
        (CALL + "recogniser: {finals: late}", "some.yaml:4: expected normal or lost or empty; got 'late'"),
        (CALL + "voice: {silent: maybe}", "some.yaml:4: expected true or false; got 'maybe'"),
        (CALL + "line: {stall: 3}", "some.yaml:4: 'stall' expects a time such as 3.0-4.5, not '3'"),
        (CALL + "line: {echo_db: 3}", "some.yaml:4: expected a number from -60.0 to 0.0; got '3'"),
        (CALL.replace("0.5", "soon"), "some.yaml:2: expected a time to begin with: 1.5, 0.5-2.0"),
        (CALL.replace("caller", "shout"), 'some.yaml:2: expected caller "words", cough'),
        (CALL.replace("0.5", "2.5-1.5"), "some.yaml:2: expected a time that ends after it begins"),
        ("# why\ncall: [1.0 noise]\nexpect: [no clear]", "some.yaml:2: noise expects how long"),
        (CALL.replace("no clear", "no clears"), "some.yaml:3: expected a line such as: reply 1 within 0.8"),
        (CALL.replace("no clear", "silent within 1 of line 2"), "some.yaml:3: there is no line 2 in 'call'"),
        (CALL.replace("no clear", "{air: no clear}"), "some.yaml:3: expected virtual or wire; got 'air'"),
        (CALL.replace("no clear", "[no clear]"), "some.yaml:3: expected one line of text"),
    ],
)
def test_a_mistake_is_explained_with_file_and_line(text: str, problem: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        parse(text, PATH)
    assert str(raised.value).startswith(problem)


def test_the_example_of_every_rule_is_read_by_that_rule() -> None:
    for rule in RULES.values():
        for example in rule.example.split(", "):
            found = find(example)
            assert found is not None, example
            assert found[0] is rule, example


def test_there_are_calls_for_every_complaint_that_turn_taking_can_cause() -> None:
    scenarios = read_all()
    assert len(scenarios) >= 60
    assert {1, 2, 3, 4, 5, 8, 9, 10, 11} <= {scenario.complaint for scenario in scenarios}
