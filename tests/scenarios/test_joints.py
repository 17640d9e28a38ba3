"""Whatever the agent's audio is joined from, the caller hears no click: every call with a voice that hums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from telephony.media.frame import SAMPLE_RATE
from tests.scenarios import reading, virtual
from tests.scenarios.scenario import Scenario
from tests.scenarios.took import Took

STEP = 655  # 2 % of full scale

# Where the line itself stalls, it tears the audio apart.
SCENARIOS = [
    scenario for scenario in reading.read_all() if scenario.place != "wire" and not scenario.line.stalls
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_joint_clicks(scenario: Scenario) -> None:
    took = virtual.hold(replace(scenario, voice=replace(scenario.voice, hums=True)))
    assert _clicks(took) == []


def _clicks(took: Took) -> list[tuple[float, int]]:
    """Each step that is too large: seconds, sample values. What ``clear`` cuts off, the carrier cuts."""
    steps = np.abs(np.diff(took.agent.astype(np.int32), prepend=0))
    cut = {round(clear * SAMPLE_RATE) for clear in took.clears}
    return [
        (int(at) / SAMPLE_RATE, int(steps[at]))
        for at in np.flatnonzero(steps > STEP)
        if not cut & {int(at) - 1, int(at), int(at) + 1}
    ]
