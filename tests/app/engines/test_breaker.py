from __future__ import annotations

import pytest

from app.engines.breaker import LONGEST_SECONDS, Breaker, BreakerState


def opened(retry_seconds: float = 5.0) -> Breaker:
    breaker = Breaker(3, retry_seconds)
    for now in (0.0, 1.0, 2.0):
        breaker.fail(now)
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = Breaker(3, 5.0)
    for now in range(20):  # never three in a row
        if now % 3 == 2:
            breaker.succeed()
        else:
            breaker.fail(now)
        assert breaker.state is BreakerState.CLOSED
    assert opened().state is BreakerState.OPEN


def test_a_trial_comes_when_it_is_time_and_only_one() -> None:
    breaker = opened()
    assert breaker.retry_at == 7.0
    assert not breaker.try_again(6.9)
    assert breaker.try_again(7.0)
    assert breaker.state is BreakerState.HALF_OPEN
    assert not breaker.try_again(99.0)


def test_a_trial_that_works_closes_it_with_a_clean_slate() -> None:
    breaker = opened()
    breaker.try_again(7.0)
    breaker.tried(7.1, works=True)
    assert breaker.state is BreakerState.CLOSED
    breaker.fail(8.0)
    breaker.fail(8.0)
    assert breaker.state is BreakerState.CLOSED


def test_each_trial_that_fails_doubles_the_wait_up_to_a_minute() -> None:
    breaker, now, waits = opened(), 2.0, []
    for _ in range(7):
        assert breaker.retry_at is not None
        waits.append(breaker.retry_at - now)
        now = breaker.retry_at
        assert breaker.try_again(now)
        breaker.tried(now, works=False)
    assert waits == [5, 10, 20, 40, 60, 60, 60]
    assert waits[-1] == LONGEST_SECONDS
    breaker.try_again(now + 60)
    breaker.tried(now + 60, works=True)
    for _ in range(3):
        breaker.fail(now)
    assert breaker.retry_at == pytest.approx(now + 5)


def test_answers_and_failures_of_older_requests_change_nothing_while_it_is_open() -> None:
    breaker = opened()
    breaker.succeed()
    breaker.fail(6.0)
    assert (breaker.state, breaker.retry_at) == (BreakerState.OPEN, 7.0)


@pytest.mark.parametrize("works", [True, False])
def test_only_the_trial_decides_while_it_runs(works: bool) -> None:
    breaker = opened()
    breaker.try_again(7.0)
    breaker.fail(7.5)
    breaker.succeed()
    assert (breaker.state, breaker.retry_at) == (BreakerState.HALF_OPEN, None)
    breaker.tried(8.0, works=works)
    if works:
        assert breaker.state is BreakerState.CLOSED
    else:
        assert (breaker.state, breaker.retry_at) == (BreakerState.OPEN, 18.0)


def test_what_is_known_not_to_work_is_given_up_at_once() -> None:
    breaker = Breaker(3, 5.0)
    breaker.trip(1.0)
    breaker.trip(2.0)
    assert (breaker.state, breaker.retry_at) == (BreakerState.OPEN, 6.0)
