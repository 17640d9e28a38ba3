"""Every scenario over the wire, many at the same time."""

from __future__ import annotations

import pytest

from tests.scenarios import reading
from tests.scenarios.judge import complaint
from tests.scenarios.pages import Pages
from tests.scenarios.scenario import Scenario
from tests.scenarios.wire import HeldCalls

SCENARIOS = [scenario for scenario in reading.read_all() if scenario.place != "virtual"]


@pytest.mark.parametrize("over_the_wire", SCENARIOS, ids=lambda scenario: scenario.name)
def test_over_the_wire(over_the_wire: Scenario, held_over_the_wire: HeldCalls, pages: Pages) -> None:
    took = held_over_the_wire.calls[over_the_wire.name]
    if isinstance(took, Exception):
        raise took
    pages.add(took)
    problem = complaint(took)
    if problem:
        pytest.fail(problem, pytrace=False)
