"""Calls that nobody thought of: whatever callers, engines and line do, what holds in every call holds."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from app.voice.profile import AgentProfile
from telephony.simulator.conditions import LineConditions
from tests.scenarios import virtual
from tests.scenarios.scenario import (
    Action,
    Ask,
    At,
    Deed,
    Fail,
    ModelStep,
    Press,
    Scenario,
    Sound,
    Speak,
    Stay,
    ToldRecogniser,
    ToldVoice,
    Use,
)
from tests.scenarios.truth import broken

CALLS = 150
SECONDS = 25

_SAID = (
    "where is my parcel",
    "yes",
    "mm-hmm",
    "I wanted to ask about um",
    "one two three",
    "stop",
    "thank you goodbye",
    "[unclear]",
    "and when do you open on Saturdays please",
)
_REPLIES = (
    "Your parcel is on its way.",
    "We have three offices. One is in Station Road. One is on Market Square. One is at the airport.",
    "Yes.",
    "Please tell me the number that stands on the card in your letter box, and take your time.",
)


@pytest.mark.parametrize("seed", range(CALLS))
def test_no_call_is_stuck_untrue_or_left_behind(seed: int) -> None:
    scenario = any_call(random.Random(seed))
    problems = [problem for problem in broken(virtual.hold(scenario)) if "could do" not in problem]
    if problems:
        actions = "\n".join(action.text for action in scenario.actions)
        pytest.fail("\n".join([*problems, actions, str(scenario)]), pytrace=False)


def any_call(rng: random.Random) -> Scenario:
    """A call at random; the same for the same generator."""
    return Scenario(
        path=Path("any"),
        why="anything",
        profile=_profile(rng),
        actions=[*(_action(rng) for _ in range(rng.randint(1, 9))), Action(At(SECONDS), Stay(), "stay")],
        expectations=(),
        model=[_turn(rng) for _ in range(8)],
        recogniser=ToldRecogniser(
            final_after=rng.choice((0.05, 0.1, 0.4, 1.5)),
            finals=rng.choices(("normal", "lost", "empty"), (8, 1, 1))[0],
            interims=rng.choices(("normal", "none"), (4, 1))[0],
        ),
        voice=rng.choices((ToldVoice(), ToldVoice(first_audio_after=1.0), ToldVoice(silent=True)), (8, 2, 1))[
            0
        ],
        line=_line(rng),
    )


def _profile(rng: random.Random) -> AgentProfile:
    actions = ("stop_and_listen", "stop_and_acknowledge", "duck_and_continue", "ignore")
    return AgentProfile.model_validate(
        {
            "name": "scenario",
            "says": {"greeting": rng.choice(("", "Hello, this is the parcel service."))},
            "turns": {
                "no_input_seconds": rng.choice((3.0, 6.0)),
                "reply_seconds": rng.choice((3.0, 6.0)),
                "overlap": {"action": rng.choices(actions, (6, 1, 1, 1))[0]},
                "keys": {"interrupt": rng.random() < 0.8},
                "speculation": {"enabled": rng.random() < 0.8},
                "escalate": rng.choice(("transfer", "hang_up")),
            },
        }
    )


def _turn(rng: random.Random) -> list[ModelStep]:
    steps: list[ModelStep] = []
    if rng.random() < 0.5:
        steps.append(rng.choice((0.1, 0.5, 2.0, 5.0, 600.0)))
    if rng.random() < 0.9:
        steps.append(rng.choice(_REPLIES))
    extra = rng.random()
    if extra < 0.15:
        steps += [Use("book", {}), rng.choice(_REPLIES)]
    elif extra < 0.25:
        steps += [1.0, Fail()]
    elif extra < 0.35:
        steps += [2.0, rng.choice(_REPLIES)]
    elif extra < 0.45:
        steps.append(Ask(5))
    elif extra < 0.5:
        steps.append(Use("end_call", {}))
    return steps


def _action(rng: random.Random) -> Action:
    deeds: tuple[Deed, ...] = (
        Speak(rng.choice(_SAID), rng.choice((0.3, 0.6, 1.2, 3.0))),
        Sound("cough", 0.3, -16.0),
        Press(rng.choice(("1", "123#", "*", "#"))),
    )
    deed = rng.choices(deeds, (6, 2, 1))[0]
    at = round(rng.uniform(0.2, SECONDS - 8), 2)
    return Action(At(at), deed, f"{at} {deed}")


def _line(rng: random.Random) -> LineConditions:
    return LineConditions(
        jitter=rng.choice((0.0, 0.0, 0.06)),
        lost_marks=rng.choices((0.0, 0.3, 1.0), (8, 1, 1))[0],
        mark_delay=rng.choice((0.0, 0.0, 0.5)),
        echo=rng.choices((None, -12.0), (4, 1))[0],
        seed=rng.randint(0, 1000),
    )
