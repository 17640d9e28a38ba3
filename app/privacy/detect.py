"""Personal data in one text of a call. Pure but for the tables of ``written``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.privacy.classify import Number, Numbers
from app.privacy.context import Context, asked_by, left_open
from app.privacy.cues import Phrases, cues, resolved
from app.privacy.dates import dates
from app.privacy.emails import emails
from app.privacy.language import KINDS, Label, Language
from app.privacy.models import DIGITS_KINDS, Kind, Span
from app.privacy.names import Names
from app.privacy.numbers import runs
from app.privacy.tokens import Sort, tokenise
from app.privacy.written import written

_ORDER = {Kind.EMAIL: 0, Kind.IBAN: 1, Kind.CARD_NUMBER: 2, Kind.NAME: 9}
_LABELS = {kind: label for label, kind in KINDS.items()}


@dataclass(frozen=True, slots=True)
class Detected:
    """What a text holds, in order and without overlap, and the context after it."""

    spans: tuple[Span, ...]
    context: Context


def detect(
    text: str,
    language: Language | None,
    context: Context,
    *,
    caller: bool,
    masked: Sequence[tuple[int, int]] = (),
    regions: Sequence[str],
) -> Detected:
    """Find what is personal in a text that is said in this context by the caller or by the agent.

    Characters ``masked`` were found before. Without a language, written forms only.
    """
    forms = [span for span in written(text, regions) if not _meets(span.begin, span.end, masked)]
    if language is None:
        return Detected(tuple(_without_overlap(forms)), context)
    return _Text(text, language, context, masked, regions).detected(forms, caller=caller)


class _Text:
    def __init__(
        self,
        text: str,
        language: Language,
        context: Context,
        masked: Sequence[tuple[int, int]],
        regions: Sequence[str],
    ) -> None:
        self._language = language
        self._context = context
        self._regions = regions
        self._tokens = tokenise(text, masked)
        self._phrases = Phrases(self._tokens)
        found = cues(self._phrases, language)
        self._cues = resolved(found)
        self._cued = _indexes((cue.first, cue.last) for cue in found)
        self._silent = _indexes((cue.first, cue.last) for cue in found if cue.label is Label.NOTHING)

    def detected(self, forms: Sequence[Span], *, caller: bool) -> Detected:
        asked = self._context.asked
        mails = emails(self._tokens, self._phrases, self._language, asked=Label.EMAIL in asked and caller)
        taken = _indexes(mails)
        numbers = self._numbers(taken | self._cued)
        spans = [self._span(first, last, Kind.EMAIL, "") for first, last in mails]
        spans += [self._span(n.first, n.last, n.kind, n.digits) for n in numbers]
        spans += self._judged_forms(forms)
        names = Names(self._tokens, self._phrases, self._language)
        known = self._context.names
        taken |= _indexes((number.first, number.last) for number in numbers)
        for first, last in names.introduced(asked=Label.NAME in asked and caller, taken=taken):
            words = names.words(first, last)
            known = known.with_name(words)
            spans.append(self._span(first, last, Kind.NAME, " ".join(words)))
        spans += [self._span(first, last, Kind.NAME, "") for first, last in names.repeated(known)]
        kept = _without_overlap(spans)
        return Detected(
            tuple(kept), self._after(kept, numbers, caller=caller, known=replace(self._context, names=known))
        )

    def _numbers(self, taken: frozenset[int]) -> list[Number]:
        numbers = Numbers(
            self._tokens, self._language, self._cues, self._context, self._regions, self._silent
        )
        return numbers.personal(
            runs(self._tokens, self._language, taken), dates(self._tokens, self._language, taken)
        )

    def _judged_forms(self, forms: Sequence[Span]) -> list[Span]:
        """Written telephone numbers are none where words say that they are something else."""
        kept: list[Span] = []
        for span in forms:
            first = next((i for i, token in enumerate(self._tokens) if token.end > span.begin), 0)
            before = [cue for cue in self._cues if cue.last <= first and first - cue.last <= _NEAR_FORM]
            other = bool(before) and before[-1].label is Label.OTHER
            if not (other and span.kind is Kind.PHONE):
                kept.append(span)
        return kept

    def _after(
        self, kept: Sequence[Span], numbers: Sequence[Number], *, caller: bool, known: Context
    ) -> Context:
        context = known
        for span in kept:
            if span.kind in DIGITS_KINDS and span.value and caller:
                context = context.with_number(span.kind, span.value)
        if not caller:
            asked = asked_by(self._tokens, self._phrases, self._cues, self._language, self._context)
            return context.asking(asked)
        named = any(span.kind is Kind.NAME for span in kept) or any(t.sort is Sort.MASK for t in self._tokens)
        last = self._last_label(numbers)
        cue = self._cues[-1] if self._cues else None
        if cue is not None and kept and kept[-1].end > self._tokens[cue.last - 1].end:
            cue = None
        return context.asking(left_open(self._tokens, cue, last, self._language, self._context, named=named))

    def _last_label(self, numbers: Sequence[Number]) -> Label | None:
        """What the text ends with, which may go on in the next turn; a placeholder says it too."""
        at_end = [number for number in numbers if number.last >= len(self._tokens)]
        return at_end[-1].label or _LABELS[at_end[-1].kind] if at_end else None

    def _span(self, first: int, last: int, kind: Kind, value: str) -> Span:
        return Span(self._tokens[first].begin, self._tokens[last - 1].end, kind, value)


_NEAR_FORM = 4  # tokens between a cue and a written form


def _indexes(ranges: Iterable[tuple[int, int]]) -> frozenset[int]:
    return frozenset(index for first, last in ranges for index in range(first, last))


def _meets(begin: int, end: int, others: Iterable[tuple[int, int]]) -> bool:
    return any(begin < other_end and other_begin < end for other_begin, other_end in others)


def _without_overlap(spans: Sequence[Span]) -> list[Span]:
    """In order; where some overlap, the one whose kind is surer, then the longer, covers the others too."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.begin, -span.end)):
        if not kept or span.begin >= kept[-1].end:
            kept.append(span)
            continue
        last = kept.pop()
        better = min((last, span), key=lambda one: (_ORDER.get(one.kind, 5), one.begin - one.end))
        kept.append(replace(better, begin=last.begin, end=max(last.end, span.end)))
    return kept
