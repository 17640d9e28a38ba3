"""Whether an engine is worth asking: a circuit breaker. Pure; times are seconds of any one clock.

Closed: it is asked. Open: it failed so often in a row that it is not, until ``retry_at``. Half open: one
trial, which no caller depends on, decides; requests that began earlier change nothing. Each trial that fails
doubles the wait, to ``LONGEST_SECONDS``.
Source: M. Nygard, Release It!, 2nd ed., ch. 5, "Circuit Breaker".
"""

from __future__ import annotations

from enum import StrEnum

LONGEST_SECONDS = 60.0


class BreakerState(StrEnum):
    """What the breaker lets through."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class Breaker:
    """Opens after ``failures`` in a row; the first trial is ``retry_seconds`` later."""

    def __init__(self, failures: int, retry_seconds: float) -> None:
        self.state = BreakerState.CLOSED
        self.retry_at: float | None = None  # when an open one may be tried
        self._most, self._retry_seconds = failures, retry_seconds
        self._in_a_row = 0
        self._wait = retry_seconds

    def succeed(self) -> None:
        """It answered a request."""
        if self.state is BreakerState.CLOSED:  # an answer to an older request heals nothing
            self._in_a_row = 0

    def fail(self, now: float) -> None:
        """It did not answer a request, or with an error."""
        if self.state is not BreakerState.CLOSED:
            return
        self._in_a_row += 1
        if self._in_a_row >= self._most:
            self._open(now)

    def trip(self, now: float) -> None:
        """Open it at once: it is known not to work."""
        if self.state is BreakerState.CLOSED:
            self._open(now)

    def try_again(self, now: float) -> bool:
        """Half open it for a trial, if it is time."""
        if self.state is not BreakerState.OPEN or self.retry_at is None or now < self.retry_at:
            return False
        self.state, self.retry_at = BreakerState.HALF_OPEN, None
        return True

    def tried(self, now: float, *, works: bool) -> None:
        """The trial is over."""
        if works:
            self.state, self.retry_at = BreakerState.CLOSED, None
            self._in_a_row, self._wait = 0, self._retry_seconds
        else:
            self._wait = min(2 * self._wait, LONGEST_SECONDS)
            self._open(now)

    def _open(self, now: float) -> None:
        self.state, self.retry_at = BreakerState.OPEN, now + self._wait
