"""Every scenario in virtual time."""

from __future__ import annotations

import pytest

from tests.scenarios import reading, virtual
from tests.scenarios.judge import complaint
from tests.scenarios.pages import Pages
from tests.scenarios.scenario import Scenario

SCENARIOS = [scenario for scenario in reading.read_all() if scenario.place != "wire"]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_in_virtual_time(scenario: Scenario, pages: Pages) -> None:
    took = virtual.hold(scenario)
    pages.add(took)
    problem = complaint(took)
    if problem:
        pytest.fail(problem, pytrace=False)
