"""Which numbers of a text are personal: by the words beside them, what was asked for, their form.

Pure but for the tables of ``written``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.privacy.context import Context
from app.privacy.cues import Found
from app.privacy.dates import Date
from app.privacy.language import KINDS, Label, Language
from app.privacy.models import Kind
from app.privacy.numbers import Run, Said, is_number, letters_of, without_letters
from app.privacy.tokens import Sort, Token
from app.privacy.written import is_card, is_iban, is_phone

_NEAR, _NEAR_WEAK = 6, 3  # words between a cue and its number, besides those that link them
_NEAR_BEHIND = 4
_LETTERS = frozenset({Label.ACCOUNT, Label.IBAN, Label.IDENTITY, Label.PIN})
_LEAST = {  # digits of a number whose cue stands beside it
    Label.CARD: 3, Label.EXPIRY: 3, Label.CODE: 3, Label.ACCOUNT: 4, Label.IBAN: 4, Label.BANK: 5,
    Label.PHONE: 3, Label.BIRTH: 3, Label.IDENTITY: 3, Label.PIN: 3,
}  # fmt: skip
_LEAST_WEAK = {Label.CARD: 4, Label.ACCOUNT: 5, Label.PHONE: 7}
_MOST = {Label.EXPIRY: 8, Label.CODE: 5, Label.BIRTH: 9, Label.PHONE: 17, Label.BANK: 12, Label.PIN: 12}
_LEAST_ANSWER = 2  # digits of an answer that is all number but for words such as "it's"
_NEVER_COUNTED = 7  # so many digits count nothing, whatever stands behind them
_LONG = 12  # so many digits, said one by one and nothing else by the words beside them, are hardly a parcel's
_SPOKEN_SINGLY = 5  # so many single digits are no amount and no year
_LEAST_REST, _NEAR_REST = 3, 6  # digits, and tokens between
_YEARS = ("19", "20")


@dataclass(frozen=True, slots=True)
class Number:
    """Tokens ``first`` to ``last``, exclusive, that are personal; ``label`` says why, where words did."""

    first: int
    last: int
    kind: Kind
    label: Label | None
    digits: str


class Numbers:
    """The numbers of one text."""

    def __init__(
        self,
        tokens: Sequence[Token],
        language: Language,
        cues: Sequence[Found],
        context: Context,
        regions: Sequence[str],
        silent: frozenset[int],
    ) -> None:
        self._tokens = tokens
        self._language = language
        self._cues = [cue for cue in cues if cue.label not in {Label.EMAIL, Label.NAME}]
        self._context = context
        self._asked = [label for label in context.asked if label not in {Label.EMAIL, Label.NAME}]
        self._regions = regions
        self._silent = silent  # tokens that say nothing: "on my account"
        self._answer = self._is_answer()

    def personal(self, runs: Sequence[Run], dates: Sequence[Date]) -> list[Number]:
        """Those of runs and dates that are personal, in no order."""
        if self._asked[:1] == [Label.BIRTH] and (part := self._birth_part()) is not None:
            return [part]
        dates = [date for date in dates if self._is_date(date)]
        found = [number for date in dates if (number := self._of_date(date)) is not None]
        in_dates = {index for date in dates for index in range(date.first, date.last)}
        for run in runs:
            if in_dates.isdisjoint(range(run.first, run.last)):
                found += self._of_run(run) or self._rest(run, found)
        return found

    def _rest(self, run: Run, found: Sequence[Number]) -> list[Number]:
        """The run, where it stands a few words behind a number that it may be the rest of."""
        before = max((number for number in found if number.last <= run.first), key=_last, default=None)
        if before is None or len(run.digits) < _LEAST_REST or self._counts(run, None):
            return []
        between = any(before.last <= cue.first < run.first for cue in self._cues)
        near = run.first - before.last <= _NEAR_REST and self._cue_of(run.first, run.last) is None
        if between or not near or before.kind in {Kind.BIRTH_DATE, Kind.CARD_EXPIRY, Kind.CARD_CODE}:
            return []
        return [self._number(part, before.kind, None) for part in without_letters(run)]

    def _of_date(self, date: Date) -> Number | None:
        cue = self._cue_of(date.first, date.last)
        label = cue.label if cue is not None else None
        if label is None:
            label = next((asked for asked in self._asked if asked in {Label.BIRTH, Label.EXPIRY}), None)
            if label is None and not self._asked and date.is_full and self._is_all(date):
                label = Label.BIRTH
        if label not in {Label.BIRTH, Label.EXPIRY}:
            return None
        digits = "".join(t.text for t in self._tokens[date.first : date.last] if t.sort is Sort.FIGURES)
        return Number(date.first, date.last, KINDS[label], label, digits)

    def _birth_part(self) -> Number | None:
        """The whole answer, where it is of a date's words alone: "of february"."""
        language = self._language
        words = [i for i, token in enumerate(self._tokens) if token.text not in language.fillers]
        before = (language.answer_words | language.date_words) - language.ordinals.keys()
        while words and self._tokens[words[0]].text in before:
            words.pop(0)
        while words and self._tokens[words[-1]].text in language.date_words:
            words.pop()
        tables = (language.months, language.ordinals, language.ordinal_ends, language.date_words)
        if not words or not all(
            is_number(self._tokens[i], language) or any(self._tokens[i].text in table for table in tables)
            for i in words
        ):
            return None
        return Number(words[0], words[-1] + 1, Kind.BIRTH_DATE, Label.BIRTH, "")

    def _of_run(self, run: Run) -> list[Number]:
        cue = self._cue_of(run.first, run.last)
        if is_iban(run.text):
            return [self._number(run, Kind.IBAN, Label.IBAN)]
        label = self._label(run, cue)
        parts = [run] if label in _LETTERS else without_letters(run)
        return [number for part in parts if (number := self._judged(part, label, cue)) is not None]

    def _label(self, run: Run, cue: Found | None) -> Label | None:
        if cue is not None:
            return cue.label
        fitting = [
            label for label in self._asked if _fits(label, run) or (len(self._asked) == 1 and self._answer)
        ]
        return fitting[0] if fitting else (self._asked[0] if self._asked else None)

    def _judged(self, run: Run, label: Label | None, cue: Found | None) -> Number | None:
        digits = run.digits
        if is_card(digits):
            return self._number(run, Kind.CARD_NUMBER, Label.CARD)
        if label is Label.OTHER or self._counts(run, label):
            return None
        if label is not None and len(digits) <= _MOST.get(label, len(digits)):
            sure = self._answer if cue is None else not cue.weak
            if not sure and self._is_year(run):
                return None
            if len(run.text) >= self._least(label, cue):
                return self._number(run, KINDS[label], label)
            if cue is not None and not cue.weak:
                return None
        kind = self._bare(run) or self._context.kind_of(digits)
        return self._number(run, kind, None) if kind is not None else None

    def _least(self, label: Label, cue: Found | None) -> int:
        least = _LEAST[label]
        if cue is not None and cue.weak:
            least = _LEAST_WEAK.get(label, least)
        if label not in self._asked:
            return least
        if self._answer:
            return 1 if self._is_bare_answer() else _LEAST_ANSWER
        return _LEAST[label]

    def _bare(self, run: Run) -> Kind | None:
        """What a number is by its form alone."""
        digits = run.digits
        count = len(digits)
        if run.plus and 7 <= count <= 15:
            return Kind.PHONE
        if 15 <= count <= 16 and digits[0] in "3456":
            return Kind.CARD_NUMBER
        if count > 16 and digits[0] in "3456" and (run.corrected or is_card(digits[:16])):
            return Kind.CARD_NUMBER
        if run.singles >= _LONG:
            return Kind.CARD_NUMBER if digits[0] in "3456" else Kind.ACCOUNT_NUMBER
        if 9 <= count <= 13 and digits[0] == "0":  # as national numbers begin, perhaps misheard
            return Kind.PHONE
        if 10 <= count <= 12 and is_phone(digits, self._regions, possible=run.singles >= _SPOKEN_SINGLY):
            return Kind.PHONE
        return None

    def _number(self, run: Run, kind: Kind, label: Label | None) -> Number:
        first, last = run.first, run.last
        if label in _LETTERS:  # figures with letters are written as one: d1234567
            while last < len(self._tokens) and self._tokens[last].glued and self._tokens[last].sort in _GLUED:
                last += 1
            while first > 0 and self._tokens[first].glued and self._tokens[first - 1].sort in _GLUED:
                first -= 1
        return Number(first, last, kind, label, run.digits)

    def _cue_of(self, first: int, last: int) -> Found | None:
        """The cue that says what these tokens are: the one before, or a surer one behind."""
        before = next((cue for cue in reversed(self._cues) if cue.last <= first), None)
        if before is not None:
            far = self._words_between(before.last, first)
            if far > (_NEAR_WEAK if before.weak else _NEAR):
                before = None
        behind = next((cue for cue in self._cues if cue.first >= last), None)
        if behind is not None and (before is None or (before.weak and not behind.weak)):
            between = [token.text for token in self._tokens[last : behind.first]]
            linked = bool(between) and between[0] in self._language.links and "?" not in between
            if linked and len(between) <= _NEAR_BEHIND and between[0] != "and":
                return behind
        return before

    def _words_between(self, first: int, last: int) -> int:
        language = self._language
        return sum(
            1
            for index in range(first, last)
            if index not in self._silent
            and (token := self._tokens[index]).text not in language.links
            and token.text not in language.fillers
            and not is_number(token, language)
            and not letters_of(token, language)
        )

    def _counts(self, run: Run, label: Label | None) -> bool:
        """The number counts something: money, hours, pieces."""
        language, tokens = self._language, self._tokens
        plain = run.singles + sum(len(a.text) for a in run.atoms if a.said is Said.FIGURES)
        if run.scaled and plain < 5:
            return label is not Label.BIRTH or len(run.digits) < 6
        if len(run.digits) >= _NEVER_COUNTED:
            return False
        if run.last < len(tokens) and tokens[run.last].text in language.units:
            return True
        if run.first > 0 and tokens[run.first - 1].text in language.before_counts:
            return True
        return self._is_decimal(run)

    def _is_year(self, run: Run) -> bool:
        """As years are said or written, and not digit by digit."""
        return len(run.digits) == 4 and run.digits.startswith(_YEARS) and run.singles <= 1

    def _is_decimal(self, run: Run) -> bool:
        """In figures with a fraction or groups of thousands: 12,480.50."""
        if any(atom.said is not Said.FIGURES for atom in run.atoms) or len(run.atoms) not in {2, 3}:
            return False
        signs = {self._tokens[atom.first - 1].text for atom in run.atoms[1:]}
        glued = all(self._tokens[atom.first].glued for atom in run.atoms[1:])
        return (
            glued and signs <= {".", ","} and len(run.atoms[-1].text) in ({2} if len(signs) > 1 else {1, 2})
        )

    def _is_date(self, date: Date) -> bool:
        """Not a longer number with a word such as "may" beside it."""
        tokens = self._tokens[date.first : date.last]
        figures = [token.text for token in tokens if token.sort is Sort.FIGURES]
        if any(len(text) == 3 or len(text) > 4 for text in figures) or len(figures) > 3:
            return False
        return sum(token.text in self._language.digits for token in tokens) <= 3

    def _is_answer(self) -> bool:
        """All but numbers, letters and words such as "it's"."""
        language = self._language
        return all(
            token.sort is not Sort.WORD
            or token.text in language.answer_words
            or token.text in language.fillers
            or token.text in language.sounds
            or is_number(token, language)
            or bool(letters_of(token, language))
            for token in self._tokens
        )

    def _is_bare_answer(self) -> bool:
        return all(
            token.sort is not Sort.WORD
            or is_number(token, self._language)
            or token.text in self._language.fillers
            for token in self._tokens
        )

    def _is_all(self, date: Date) -> bool:
        """The text is the date and little else."""
        rest = [*self._tokens[: date.first], *self._tokens[date.last :]]
        words = [token for token in rest if token.sort is not Sort.SIGN]
        return len(words) <= 3 and all(token.text in self._language.answer_words for token in words)


_GLUED = frozenset({Sort.WORD, Sort.FIGURES})


def _last(number: Number) -> int:
    return number.last


def _fits(label: Label, run: Run) -> bool:
    count = len(run.digits)
    match label:
        case Label.BIRTH:
            return 4 <= count <= 8 and (count != 4 or run.digits[:2] in _YEARS or run.singles >= 1)
        case Label.OTHER:
            return True
        case Label.IBAN:
            return len(run.text) > count
        case _:
            return count <= _MOST.get(label, 34)
