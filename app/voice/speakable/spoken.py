"""Text that was rewritten to be spoken, and where each of its characters came from. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters ``start`` to ``end`` of a text are spoken as ``text``; nothing where it is empty."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """What is given to speech; ``positions`` are those in the source of each character and of the end."""

    text: str
    positions: Sequence[int]

    def source(self, char: int) -> int:
        """How many characters of the source are spoken with the first ``char`` characters of the text.

        What is spoken in other words counts once it was spoken to its end. Beyond the text: its end.
        """
        return self.positions[max(0, min(char, len(self.text)))]


def as_written(text: str) -> Spoken:
    """The text itself."""
    return Spoken(text, range(len(text) + 1))


def rewritten(spoken: Spoken, edits: Iterable[Edit]) -> Spoken:
    """The text after the edits, which are in order and do not overlap."""
    pieces: list[str] = []
    positions: list[int] = []
    at = 0
    for edit in edits:
        pieces += (spoken.text[at : edit.start], edit.text)
        positions += spoken.positions[at : edit.start]
        positions += [spoken.positions[edit.start]] * len(edit.text)
        at = edit.end
    if not pieces:
        return spoken
    pieces.append(spoken.text[at:])
    positions += spoken.positions[at:]
    return Spoken("".join(pieces), tuple(positions))
