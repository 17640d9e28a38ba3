from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.patience import Patience


def test_an_unknown_engine_gets_all_the_time_there_is() -> None:
    patience = Patience(0.5, 3.0)
    assert patience.timeout == 3.0
    assert patience.unusual is None
    assert patience.percentile(0.95) == 0.0


@pytest.mark.parametrize(("count", "factor"), [(1, 7.5), (4, 3.0), (20, 1.8), (200, 1.53)])
def test_the_more_is_known_the_closer_the_wait(count: int, factor: float) -> None:
    patience = Patience(0.0, 100.0)
    for _ in range(count):
        patience.observe(1.0)
    assert patience.timeout == pytest.approx(factor)


def test_the_wait_stays_within_its_bounds() -> None:
    patience = Patience(0.5, 3.0)
    for _ in range(50):
        patience.observe(0.01)
    assert patience.timeout == 0.5
    patience.observe(90.0)
    assert patience.timeout == 3.0


def test_giving_up_makes_the_next_wait_longer_up_to_the_bound() -> None:
    patience = Patience(0.1, 3.0)
    for _ in range(30):
        patience.observe(0.2)
    waits = [patience.timeout]
    for _ in range(12):
        patience.observe(waits[-1])
        waits.append(patience.timeout)
    assert waits == sorted(waits)
    assert waits[-1] == 3.0


def test_unusual_is_the_95th_percentile_but_no_jitter() -> None:
    patience = Patience(0.0, 9.0)
    for number in range(100):
        patience.observe(number / 100)
    assert patience.unusual == pytest.approx(0.94)
    steady = Patience(0.0, 9.0)
    for _ in range(100):
        steady.observe(0.15)
    assert steady.unusual == pytest.approx(0.18)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=450), st.floats(0.01, 1))
def test_percentiles_are_those_of_the_latest_two_hundred(durations: list[float], share: float) -> None:
    patience = Patience(0.0, 100.0)
    for seconds in durations:
        patience.observe(seconds)
    latest = sorted(durations[-200:])
    assert patience.percentile(share) == latest[math.ceil(share * len(latest)) - 1]
