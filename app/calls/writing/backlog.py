"""Events that wait to be stored, in order: the oldest and the newest in memory, what lies between in a spool
(pure).

Numbers rise by one. While the database is away the middle grows, and memory does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from app.calls.writing.rows import Entry


class Backlog:
    """A queue of numbered events. Its length counts those in the spool too."""

    def __init__(self, most: float = float("inf")) -> None:
        """``most``: events to hold in memory before the spool's are let go. Infinite: there is no spool."""
        self._most = most
        self._head: deque[Entry] = deque()
        self._left = (0, 0)  # numbers after the first, up to the second, are in the spool alone
        self._tail: deque[Entry] = deque()

    def __len__(self) -> int:
        return self.in_memory + self._left[1] - self._left[0]

    @property
    def in_memory(self) -> int:
        """Events held here."""
        return len(self._head) + len(self._tail)

    @property
    def to_read(self) -> tuple[int, int] | None:
        """What must be read back before anything else is stored: numbers after the first, to the second."""
        return self._left if self._is_split and not self._head else None

    def add(self, entry: Entry) -> None:
        """Take the newest event."""
        room = not self._is_split and not self._tail and len(self._head) < self._most
        (self._head if room else self._tail).append(entry)

    def let_go(self, written: int) -> None:
        """Forget those that are too many, as far as the spool has written them: up to this number."""
        while self._tail and self._tail[0].number <= written:
            number = self._tail.popleft().number
            self._left = (self._left[0] if self._is_split else number - 1, number)

    def oldest(self, most: int) -> list[Entry]:
        """At most ``most`` of the oldest events; none while some must be read back first."""
        return list(islice(self._head, most))

    def remove(self, number: int) -> None:
        """The oldest ``number`` events are done with."""
        for _ in range(number):
            self._head.popleft()
        self._join()

    def read_back(self, entries: Sequence[Entry], up_to: int) -> None:
        """What the spool holds of the events that ``to_read`` named, up to and including a number."""
        self._head.extend(entries)
        self._left = (up_to, self._left[1])
        self._join()

    @property
    def _is_split(self) -> bool:
        return self._left[0] < self._left[1]

    def _join(self) -> None:
        """Once nothing is in the spool alone, the newest events follow the oldest."""
        if self._tail and not self._is_split:
            self._head.extend(self._tail)
            self._tail.clear()
