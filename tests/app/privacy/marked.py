"""The sentences in ``sentences/``, read, and how well what is found in them agrees with what is marked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from app.privacy import CallTurn, Finding, Kind, Side, find
from app.voice.events import CallerWord

FOLDER = Path(__file__).parent / "sentences"
KINDS = {
    "card": Kind.CARD_NUMBER,
    "expiry": Kind.CARD_EXPIRY,
    "code": Kind.CARD_CODE,
    "account": Kind.ACCOUNT_NUMBER,
    "iban": Kind.IBAN,
    "sort": Kind.BANK_CODE,
    "phone": Kind.PHONE,
    "email": Kind.EMAIL,
    "birth": Kind.BIRTH_DATE,
    "identity": Kind.IDENTITY_NUMBER,
    "pin": Kind.PIN,
    "name": Kind.NAME,
}
BAR = frozenset({Kind.CARD_NUMBER, Kind.ACCOUNT_NUMBER, Kind.PHONE, Kind.EMAIL, Kind.BIRTH_DATE})
"""Kinds that the product's bar names; a bank's codes and IBANs count as accounts."""

_MARK = re.compile(r"<(\w+)\|([^>]*)>")
_WORD = re.compile(r"[\w']+")
_EMPTY = frozenset(
    (
        "um",
        "uh",
        "er",
        "the",
        "of",
        "in",
        "and",
        "then",
        "dash",
        "slash",
        "no",
        "sorry",
        "wait",
        "it's",
        "that",
    )
)
_MOST_OUTSIDE = 2  # words of a finding that are not marked


@dataclass(frozen=True, slots=True)
class Marked:
    side: Side
    turn: int
    begin: int
    end: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Conversation:
    line: str
    turns: tuple[CallTurn, ...]
    marked: tuple[Marked, ...]


@dataclass(slots=True)
class Score:
    """``missed`` and ``wrong`` hold the lines, to be shown."""

    marked: Counter[Kind] = field(default_factory=Counter)
    covered: Counter[Kind] = field(default_factory=Counter)
    named: int = 0  # covered by a finding of the marked kind
    found: int = 0
    right: int = 0
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def recall(self, kinds: Iterable[Kind] = tuple(Kind)) -> float:
        kinds = tuple(kinds)
        return sum(self.covered[kind] for kind in kinds) / sum(self.marked[kind] for kind in kinds)

    @property
    def precision(self) -> float:
        return self.right / self.found

    def add(self, other: Score) -> Score:
        return Score(
            self.marked + other.marked, self.covered + other.covered, self.named + other.named,
            self.found + other.found, self.right + other.right,
            self.missed + other.missed, self.wrong + other.wrong,
        )  # fmt: skip

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind.value} {self.covered[kind]}/{n}" for kind, n in sorted(self.marked.items()))
        return (
            f"recall {self.recall():.1%} (of the bar's kinds {self.recall(BAR):.1%}),"
            f" precision {self.precision:.1%},"
            f" kind right {self.named / max(1, self.covered.total()):.1%}; {kinds}"
        )


def load(name: str) -> list[Conversation]:
    data: dict[str, list[str]] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return [conversation(line) for group in ("personal", "plain") for line in data[group]]


def conversation(line: str) -> Conversation:
    """One line: what a caller says, or what agent and caller say in turn."""
    says = line.split(" >> ")
    agent = len(says) > 1
    turns: list[CallTurn] = []
    marked: list[Marked] = []
    for number, say in enumerate(says):
        is_reply = agent and number % 2 == 0
        text, marks = _unmarked(say)
        if is_reply:
            turns.append(CallTurn(len(turns), reply_text=text, heard_text=text))
            side = Side.HEARD
        else:
            turns.append(CallTurn(len(turns), caller_text=text))
            side = Side.CALLER
        marked += [Marked(side, len(turns) - 1, begin, end, kind) for begin, end, kind in marks]
    return Conversation(line, tuple(turns), tuple(marked))


def score(conversations: Sequence[Conversation]) -> Score:
    total = Score()
    for one in conversations:
        findings = [f for f in find(one.turns, "en") if f.side in {Side.CALLER, Side.HEARD}]
        for mark in one.marked:
            total.marked[mark.kind] += 1
            over = [f for f in findings if _meets(f, mark)]
            if all(any(f.begin <= b and e <= f.end for f in over) for b, e in _needed(one, mark)):
                total.covered[mark.kind] += 1
                total.named += any(f.kind is mark.kind for f in over)
            else:
                total.missed.append(f"{mark.kind.value}: {one.line}")
        for finding in findings:
            total.found += 1
            marks = [mark for mark in one.marked if _meets(finding, mark)]
            if marks and _outside(one, finding, marks) <= _MOST_OUTSIDE:
                total.right += 1
            else:
                text = _text(one, finding)[finding.begin : finding.end]
                total.wrong.append(f"{finding.kind.value} {text!r}: {one.line}")
    return total


def spoken(text: str, *, started: float, pace: float = 0.35, pause: float = 0.05) -> tuple[CallerWord, ...]:
    """Words of a text with times, one after another."""
    words: list[CallerWord] = []
    at = started
    for word in text.split():
        words.append(CallerWord(word, at, at + pace))
        at += pace + pause
    return tuple(words)


def _unmarked(say: str) -> tuple[str, list[tuple[int, int, Kind]]]:
    parts: list[str] = []
    marks: list[tuple[int, int, Kind]] = []
    at = length = 0
    for match in _MARK.finditer(say):
        parts += [say[at : match.start()], match[2]]
        begin = length + match.start() - at
        length = begin + len(match[2])
        marks.append((begin, length, KINDS[match[1]]))
        at = match.end()
    return "".join([*parts, say[at:]]), marks


def _text(one: Conversation, place: Finding | Marked) -> str:
    turn = one.turns[place.turn]
    return turn.caller_text if place.side is Side.CALLER else turn.heard_text


def _meets(finding: Finding, mark: Marked) -> bool:
    same = finding.turn == mark.turn and finding.side is mark.side
    return same and finding.begin < mark.end and mark.begin < finding.end


def _needed(one: Conversation, mark: Marked) -> list[tuple[int, int]]:
    """The words of a mark that say something."""
    words = list(_WORD.finditer(_text(one, mark), mark.begin, mark.end))
    said = [word.span() for word in words if word[0].lower() not in _EMPTY]
    return said or [word.span() for word in words]


def _outside(one: Conversation, finding: Finding, marks: Sequence[Marked]) -> int:
    words = _WORD.finditer(_text(one, finding), finding.begin, finding.end)
    return sum(
        not any(mark.begin <= word.start() < mark.end for mark in marks)
        for word in words
        if word[0].lower() not in _EMPTY
    )
