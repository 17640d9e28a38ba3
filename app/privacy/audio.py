"""Where characters of a text are heard, in seconds of the leg's media clock. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.privacy.models import CallTurn
from app.voice.events import CallerWord

MARGIN_SECONDS = 0.1
"""On both sides of words whose times are known: recognisers place a word's edges that well."""

GUESS_SECONDS = 0.1
"""On a side whose word's time is not known."""

AGENT_MARGIN_SECONDS = 0.3
"""On both sides of the agent's words, which are placed by the share of the text before them."""

_WORD = re.compile(r"[^\s]+")


@dataclass(frozen=True, slots=True)
class Placed:
    """A word of the caller at the characters ``begin`` to ``end``; its number among the turn's words."""

    number: int
    begin: int
    end: int
    started: float
    ended: float


def placed(
    text: str, words: Sequence[CallerWord], started: float | None = None, ended: float | None = None
) -> list[Placed]:
    """The words that are found in the text, in order. One that is not is left out.

    Where some of the text's words are missing, one that is said several times could stand in several places:
    it is put where the pace of speech varies least. ``started``, ``ended``: of the text, if known.
    """
    low = text.lower()
    if len(low) != len(text):  # a few characters grow in lower case
        low = text
    found = _in_order(low, words)
    missing = len(_WORD.findall(low)) > len(words)
    ambiguous = missing and len({word.text for word in words}) < len(_WORD.findall(low))
    if not ambiguous or not found:
        return found
    return _by_pace(low, [words[word.number] for word in found], found, started, ended) or found


def _in_order(text: str, words: Sequence[CallerWord]) -> list[Placed]:
    """Each word at the first place behind the one before it."""
    found: list[Placed] = []
    at = 0
    for number, word in enumerate(words):
        wanted = word.text.strip().lower()
        begin = _find(text, wanted, at) if wanted else -1
        if begin < 0:
            continue
        at = begin + len(wanted)
        found.append(Placed(number, begin, at, word.started, word.ended))
    return found


def _by_pace(
    text: str,
    words: Sequence[CallerWord],
    first: Sequence[Placed],
    started: float | None,
    ended: float | None,
) -> list[Placed]:
    """The places, in order, between which time and characters differ least; none where there is no order."""
    begin = started if started is not None else words[0].started
    end = ended if ended is not None else words[-1].ended
    pace = max(0.01, (end - begin) / max(1, len(text)))
    # of each place of the last word so far: the cost of the best way there, and the way
    ways: list[tuple[float, tuple[Placed, ...]]] = [(0.0, ())]
    for word, known in zip(words, first, strict=True):
        longer: list[tuple[float, tuple[Placed, ...]]] = []
        for at, to in _places(text, word.text.strip().lower()):
            place = Placed(known.number, at, to, word.started, word.ended)
            costs = (
                (cost + _uneven(way[-1] if way else None, place, begin, pace), way)
                for cost, way in ways
                if not way or way[-1].end <= at
            )
            best = min(costs, key=_cost, default=None)
            if best is not None:
                longer.append((best[0], (*best[1], place)))
        ways = longer
    final = (
        (cost + abs((end - way[-1].ended) - (len(text) - way[-1].end) * pace), way) for cost, way in ways
    )
    return list(min(final, key=_cost, default=(0.0, ()))[1])


def _cost(way: tuple[float, tuple[Placed, ...]]) -> float:
    return way[0]


def _uneven(before: Placed | None, place: Placed, begin: float, pace: float) -> float:
    """How far the time between two places is from that of their characters, in seconds."""
    last_end, last_time = (before.end, before.ended) if before is not None else (0, begin)
    return abs((place.started - last_time) - (place.begin - last_end) * pace)


def _places(text: str, word: str) -> list[tuple[int, int]]:
    """Everywhere that the word stands by itself."""
    found: list[tuple[int, int]] = []
    at = _find(text, word, 0)
    while at >= 0:
        found.append((at, at + len(word)))
        at = _find(text, word, at + 1)
    return found


def _find(text: str, word: str, at: int) -> int:
    """The next place where the word stands by itself."""
    begin = text.find(word, at)
    while begin >= 0:
        end = begin + len(word)
        before = begin == 0 or not (text[begin - 1].isalnum() and word[0].isalnum())
        after = end == len(text) or not (text[end].isalnum() and word[-1].isalnum())
        if before and after:
            return begin
        begin = text.find(word, begin + 1)
    return -1


class CallerClock:
    """The times of one turn's caller."""

    def __init__(self, turn: CallTurn) -> None:
        self._length = len(turn.caller_text)
        self._words = placed(turn.caller_text, turn.caller_words, turn.caller_started, turn.caller_ended)
        self._started, self._ended = turn.caller_started, turn.caller_ended

    def span(self, begin: int, end: int) -> tuple[float, float] | None:
        """Where characters ``begin`` to ``end`` are heard: all of the turn, where no word has a time.

        ``None``: what they are heard after, or before, is not known.
        """
        if not self._words:
            begin, end = 0, self._length
        inside = [word for word in self._words if word.begin < end and begin < word.end]
        first = next((word for word in inside if word.begin <= begin), None)
        last = next((word for word in reversed(inside) if word.end >= end), None)
        left = first.started - MARGIN_SECONDS if first else self._guess(begin, -GUESS_SECONDS)
        right = last.ended + MARGIN_SECONDS if last else self._guess(end, GUESS_SECONDS)
        if left is None or right is None:
            return None
        if inside:
            left = min(left, inside[0].started - MARGIN_SECONDS)
            right = max(right, inside[-1].ended + MARGIN_SECONDS)
        return max(0.0, left), max(0.0, left, right)

    def _guess(self, at: int, margin: float) -> float | None:
        """The time of a character between words, by the share of the characters between them."""
        before = next((word for word in reversed(self._words) if word.end <= at), None)
        after = next((word for word in self._words if word.begin >= at), None)
        left = (before.end, before.ended) if before else (0, self._started)
        right = (after.begin, after.started) if after else (self._length, self._ended)
        if left[1] is None or right[1] is None:
            return None
        return _between(left[0], left[1], right[0], right[1], at) + margin


def agent_span(turn: CallTurn, begin: int, end: int) -> tuple[float, float] | None:
    """Where characters of ``heard_text`` are heard, by their share of it; ``None``: no time is known."""
    started, ended = turn.reply_started, turn.reply_ended
    if started is None or ended is None:
        return None
    length = len(turn.heard_text)
    left = _between(0, started, length, ended, begin) - AGENT_MARGIN_SECONDS
    right = _between(0, started, length, ended, end) + AGENT_MARGIN_SECONDS
    return max(0.0, started - AGENT_MARGIN_SECONDS, left), max(0.0, min(right, ended + AGENT_MARGIN_SECONDS))


def time_between(turns: Sequence[CallTurn], position: int, *, caller: bool) -> tuple[float, float]:
    """Between which other speech, of either side, that side of a turn was heard; may be infinite."""
    before = [time for turn in turns[:position] for time in (turn.caller_started, turn.reply_started)]
    after = [time for turn in turns[position + 1 :] for time in (turn.caller_started, turn.reply_started)]
    if caller:
        after.append(turns[position].reply_started)
    else:
        before.append(turns[position].caller_started)
    begin = max((time for time in before if time is not None), default=0.0)
    return begin, max(begin, min((time for time in after if time is not None), default=math.inf))


def _between(from_at: int, from_time: float, to_at: int, to_time: float, at: int) -> float:
    if to_at <= from_at:
        return from_time
    share = min(1.0, max(0.0, (at - from_at) / (to_at - from_at)))
    return from_time + share * (to_time - from_time)
