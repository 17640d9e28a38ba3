"""A model's tokens to phrases that can be spoken as they are made. Pure.

A phrase ends with its sentence, at a clause once it is long enough, or at a word once it is too long.
The first phrase of a reply may end at an early clause, so that the caller hears something soon.
A full stop ends a sentence only when white space follows: ``3.14``, ``a.m.`` and ``example.com`` stay whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FIRST_CLAUSE = 24
"""Characters after which a clause may end the first phrase."""

CLAUSE = 80
"""Characters after which a clause may end any other phrase."""

LONGEST = 200
"""Characters after which a phrase ends at the next word."""

_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|no|vs|etc|e\.g|i\.e|a\.m|p\.m)|\b[a-z])\.$", re.IGNORECASE
)
_END = re.compile(r"[.!?…]+[\"')\]”’]*(?=\s)|[।॥。？！]|\n+")
_CLAUSE_END = re.compile(r"[,;:–—](?=\s)|[，、；：]")


@dataclass(frozen=True, slots=True)
class Phrase:
    """``text`` is the stripped text of characters ``start`` to ``end`` of the reply."""

    text: str
    start: int
    end: int


class Chunker:
    """One reply's text. Feed it deltas; it gives the phrases that are complete."""

    def __init__(self) -> None:
        self._waiting = ""
        self._start = 0  # of ``_waiting`` in the reply
        self._scanned = 0  # of ``_waiting``: no sentence ends before
        self._first = True

    def feed(self, delta: str) -> list[Phrase]:
        """Take more text."""
        self._waiting += delta
        phrases = []
        while (end := self._phrase_end()) is not None:
            phrases.extend(self._cut(end))
        return phrases

    def finish(self) -> list[Phrase]:
        """No more text comes for now: the rest is a phrase."""
        return self._cut(len(self._waiting))

    def _phrase_end(self) -> int | None:
        for match in _END.finditer(self._waiting, self._scanned):
            if not _ABBREVIATION.search(self._waiting, 0, match.end()):
                return match.end()
        # A run of stops at the end may go on; what is before it is settled.
        self._scanned = max(0, len(self._waiting) - 8)
        shortest = FIRST_CLAUSE if self._first else CLAUSE
        if len(self._waiting) > shortest:
            for match in _CLAUSE_END.finditer(self._waiting, shortest):
                return match.end()
        if len(self._waiting) > LONGEST:
            space = self._waiting.rfind(" ", 0, LONGEST)
            return space if space > 0 else LONGEST
        return None

    def _cut(self, end: int) -> list[Phrase]:
        raw, self._waiting = self._waiting[:end], self._waiting[end:]
        self._scanned = 0
        start = self._start
        self._start += end
        text = raw.strip()
        if not text:
            return []
        self._first = False
        first = start + len(raw) - len(raw.lstrip())
        return [Phrase(text, first, first + len(text))]
