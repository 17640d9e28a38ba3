"""How long to wait for an engine, by how long it has taken so far. Pure.

The wait is 1.5 times the 99th percentile of the latest durations, within bounds. While few are known, their
longest stands for the percentile and the factor is greater: 7.5 after one, 3 after four.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

_KEPT = 200  # the latest durations
_KNOWN = 20  # from so many on, percentiles mean something
_FACTOR = 1.5
_FACTOR_OF_FEW = 6.0  # shared by the durations known


class Patience:
    """Durations in seconds, and the waits that follow from them, from ``least`` to ``most``."""

    def __init__(self, least: float, most: float) -> None:
        self.most = max(least, most)
        self._least = least
        self._latest: deque[float] = deque()
        self._sorted: list[float] = []

    def observe(self, seconds: float) -> None:
        """It took so long; or was given up after so long, which makes the next wait longer."""
        if len(self._latest) == _KEPT:
            del self._sorted[bisect_left(self._sorted, self._latest.popleft())]
        self._latest.append(seconds)
        insort(self._sorted, seconds)

    @property
    def timeout(self) -> float:
        """How long to wait; ``most`` while nothing is known."""
        count = len(self._sorted)
        if not count:
            return self.most
        usual = self.percentile(0.99)
        return min(max(usual * (_FACTOR + _FACTOR_OF_FEW / count), self._least), self.most)

    @property
    def unusual(self) -> float | None:
        """What takes longer than this is unusually late: the 95th percentile, and a fifth above the median.

        ``None`` while too little is known to say.
        """
        if len(self._sorted) < _KNOWN:
            return None
        return max(self.percentile(0.95), 1.2 * self.percentile(0.5))

    def percentile(self, share: float) -> float:
        """The duration that this share of the latest ones does not exceed; 0.0 while none is known."""
        if not self._sorted:
            return 0.0
        return self._sorted[min(len(self._sorted), math.ceil(share * len(self._sorted))) - 1]
