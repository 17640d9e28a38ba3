"""Whether a day's latencies are worse than those of the days before, beyond what days differ by (pure).

A percentile of a stage has grown when it lies above the median of the earlier days by each of: ``RELATIVE``,
``ABSOLUTE_MS``, and ``SPREADS`` times what days usually differ by. That is the median absolute deviation of
the earlier days (which one bad day among them does not move), and no less than what chance alone makes of so
few turns. Days with few turns do not count.

On made-up days of 2,000 turns (log-normal, sigma 0.35, median 600 ms) whose median differs by 1, 3 and 6 %
from day to day, a day that is no worse is told of in 0.0, 0.0 and 0.7 % of cases, one that is 20 % slower in
100, 84 and 54 %, and one that is 35 % slower in 100, 100 and 85 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

LATENCY_REGRESSION = "latency_regression"
"""The name of the system event that tells of one."""

WATCHED = (0.5, 0.95)
"""Percentiles that are compared; the 99th of a day's turns is mostly chance."""

DAYS_BEFORE = 7
LEAST_DAYS = 3  # of these, with enough turns
LEAST_TURNS = 200  # of a day: ten above its 95th percentile
RELATIVE = 0.15
ABSOLUTE_MS = 50.0
SPREADS = 4.0

_OF_NORMAL = 1.4826  # standard deviations in a median absolute deviation, of a normal distribution
_CHANCE = 2.0
"""Standard error of a 95th percentile, times the square root of the turns, in parts of the distance from the
median to it: 1.3 for a normal distribution, 1.9 for the long tails of latencies (log-normal, sigma 0.5)."""


@dataclass(frozen=True, slots=True)
class DayStage:
    """A stage on one day: how many turns had it, and milliseconds by percentile."""

    turns: int
    percentiles: Mapping[float, float]


@dataclass(frozen=True, slots=True)
class Growth:
    """A percentile that has grown: milliseconds before (the median of the days) and on the day."""

    percentile: float
    before_ms: float
    after_ms: float


def growths(day: DayStage, before: Sequence[DayStage]) -> tuple[Growth, ...]:
    """What has grown on a day, against the days before it; nothing where too little is known."""
    known = [one for one in before if one.turns >= LEAST_TURNS]
    if day.turns < LEAST_TURNS or len(known) < LEAST_DAYS:
        return ()
    return tuple(_growths(day, known))


def _growths(day: DayStage, known: Sequence[DayStage]) -> Iterator[Growth]:
    for percentile in WATCHED:
        earlier = [one.percentiles[percentile] for one in known]
        usual, now = median(earlier), day.percentiles[percentile]
        least = max(RELATIVE * usual, ABSOLUTE_MS, SPREADS * _spread(day, known, percentile))
        if now - usual > least:
            yield Growth(percentile, usual, now)


def _spread(day: DayStage, known: Sequence[DayStage], percentile: float) -> float:
    """How far a day's percentile lies from the usual one, as a rule, in milliseconds."""
    earlier = [one.percentiles[percentile] for one in known]
    usual = median(earlier)
    deviation = _OF_NORMAL * median(abs(value - usual) for value in earlier)
    tail = median(one.percentiles[0.95] - one.percentiles[0.5] for one in known)
    chance = _CHANCE * tail / math.sqrt(day.turns)
    return max(deviation, chance)
