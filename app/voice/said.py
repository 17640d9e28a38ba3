"""What the caller said, with what the recogniser knows of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from app.voice.events import CallerWord


@dataclass(frozen=True, slots=True)
class Said:
    """Some words of the caller, or none.

    ``words`` are those of ``text`` whose place is known: not those of keys, of an interim, or of an engine
    that tells no times. ``confidence`` is 0 to 1, ``language`` BCP 47 as heard, where the engine knows them.
    """

    text: str = ""
    words: tuple[CallerWord, ...] = ()
    confidence: float | None = None
    language: str | None = None


NOTHING = Said()


def joined(parts: Sequence[Said]) -> Said:
    """Parts as one: as sure as the least sure of them, in the language of most of the text."""
    spoken = [part for part in parts if part.text]
    letters: Counter[str] = Counter()
    for part in spoken:
        if part.language is not None:
            letters[part.language] += len(part.text)
    return Said(
        " ".join(part.text for part in spoken),
        tuple(chain.from_iterable(part.words for part in spoken)),
        min((part.confidence for part in spoken if part.confidence is not None), default=None),
        max(letters, key=letters.__getitem__, default=None),
    )
