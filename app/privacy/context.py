"""What a call has said so far that tells what its next words are. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from app.privacy.cues import Found, Phrases, sentence_starts
from app.privacy.language import KINDS, Label, Language
from app.privacy.models import Kind
from app.privacy.names import Known
from app.privacy.tokens import Sort, Token

_ACKNOWLEDGEMENT_WORDS = 8  # a reply of no more, without a cue, does not change what is asked for
_SHORTEST_PART = 3  # digits of a number's beginning or end that are known again
_SHORTEST_MIDDLE = 4
_DATES = frozenset({Kind.BIRTH_DATE, Kind.CARD_EXPIRY})


@dataclass(frozen=True, slots=True)
class Context:
    """What was asked for, the names and the numbers of the call."""

    asked: tuple[Label, ...] = ()
    names: Known = field(default_factory=Known)
    numbers: tuple[tuple[Kind, str], ...] = ()  # the digits of each kind, those of all its parts joined

    def kind_of(self, digits: str) -> Kind | None:
        """The kind of the number of the call that digits are a part of, if they are."""
        for kind, number in self.numbers:
            if kind in _DATES and len(digits) < len(number):  # a year is no birthday
                continue
            ends = number.startswith(digits) or number.endswith(digits)
            if len(digits) >= _SHORTEST_PART and ends:
                return kind
            if len(digits) >= _SHORTEST_MIDDLE and digits in number:
                return kind
        return None

    def with_number(self, kind: Kind, digits: str) -> Context:
        """Knowing these digits too."""
        before = dict(self.numbers)
        before[kind] = before.get(kind, "") + digits
        return replace(self, numbers=tuple(before.items()))

    def asking(self, asked: Sequence[Label]) -> Context:
        """With something else asked for."""
        return replace(self, asked=tuple(asked))


def asked_by(
    tokens: Sequence[Token], phrases: Phrases, found: Sequence[Found], language: Language, before: Context
) -> tuple[Label, ...]:
    """What is asked for once the agent has said this: what its last sentence with a cue names.

    A short acknowledgement ("go on") asks for what was asked for before.
    """
    starts = sentence_starts(tokens)
    named = [
        phrases.tokens(*match.span())[0] for match in language.patterns["name_asked"].finditer(phrases.text)
    ]
    cues = sorted(
        [
            *((cue.first, cue.label) for cue in found if cue.label is not Label.NAME),
            *((first, Label.NAME) for first in named),
        ]
    )
    if not cues:
        words = sum(token.sort is Sort.WORD for token in tokens)
        if words > _ACKNOWLEDGEMENT_WORDS:
            return ()
        return before.asked
    start = max(first for first in starts if first <= cues[-1][0])
    return tuple(dict.fromkeys(label for first, label in cues if first >= start))


def left_open(
    tokens: Sequence[Token],
    open_cue: Found | None,
    last_label: Label | None,
    language: Language,
    before: Context,
    *,
    named: bool,
) -> tuple[Label, ...]:
    """What the caller is about to say once he has said this: the number of a cue at the end, or its rest.

    ``open_cue`` is the last cue, unless something personal follows it. ``last_label`` is that of a number at
    the end. ``named``: he gave the name that was asked for.
    """
    if open_cue is not None and open_cue.label in KINDS:
        behind = {token.text for token in tokens[open_cue.last :]}
        if behind <= language.links | language.fillers:
            return (open_cue.label,)
    asked = tuple(label for label in before.asked if not (named and label is Label.NAME))
    return (last_label,) if last_label is not None and last_label not in asked else asked
