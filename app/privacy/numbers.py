"""Numbers in a text, however they are said: digit by digit, in groups, in figures, with letters. Pure.

A run is an unbroken stretch of them: hesitations, signs and corrections ("no sorry") may stand within it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from app.privacy.language import Language
from app.privacy.tokens import Sort, Token

_SIGNS = frozenset("-.,/()–—…_")
_LONGEST_GAP = 5  # tokens within a run that are no number
_WORDS_TOO = frozenset("ai")  # letters that are also words


class Said(Enum):
    """How an atom is said."""

    DIGIT = auto()
    TEEN = auto()
    TENS = auto()
    TIMES = auto()  # double five
    FIGURES = auto()
    SCALE = auto()  # hundred
    SOUND = auto()  # another word, which sounds like a digit
    LETTER = auto()


@dataclass(frozen=True, slots=True)
class Atom:
    """Tokens ``first`` to ``last``, exclusive, that are one number or letter."""

    first: int
    last: int
    text: str
    said: Said


@dataclass(frozen=True, slots=True)
class Run:
    """Atoms that stand together."""

    atoms: tuple[Atom, ...]
    corrected: bool = False
    plus: bool = False

    @property
    def first(self) -> int:
        """Its first token; the plus before it belongs to it."""
        return self.atoms[0].first - self.plus

    @property
    def last(self) -> int:
        """The token after it."""
        return self.atoms[-1].last

    @property
    def digits(self) -> str:
        """Its digits, without letters."""
        return "".join(atom.text for atom in self.atoms if atom.said is not Said.LETTER)

    @property
    def text(self) -> str:
        """Its digits and letters."""
        return "".join(atom.text for atom in self.atoms)

    @property
    def singles(self) -> int:
        """How many atoms are single digits, or several said as one would a number's."""
        single = {Said.DIGIT, Said.TIMES, Said.SOUND}
        return sum(1 for atom in self.atoms if atom.said in single)

    @property
    def scaled(self) -> bool:
        """It has a hundred or a thousand in it."""
        return any(atom.said is Said.SCALE for atom in self.atoms)


def runs(tokens: Sequence[Token], language: Language, taken: frozenset[int] = frozenset()) -> list[Run]:
    """All runs with a digit, in order; tokens ``taken`` belong to none."""
    found: list[Run] = []
    current: list[Atom] = []
    corrected = False

    def flush() -> None:
        nonlocal corrected
        run = _trimmed(current, tokens)
        if any(atom.said is not Said.LETTER for atom in run):
            before = run[0].first - 1
            plus = before >= 0 and before not in taken and tokens[before].text in {"plus", "+"}
            found.append(Run(tuple(run), corrected, plus))
        current.clear()
        corrected = False

    index = 0
    while index < len(tokens):
        atom = None if index in taken else _atom(tokens, index, language, current)
        if atom is None or not taken.isdisjoint(range(atom.first, atom.last)):
            index += 1
            continue
        if current and (gap := range(current[-1].last, index)):
            joined, correction = _joins(tokens, gap, language, taken)
            if not joined:
                flush()
                atom = _atom(tokens, index, language, current) or atom
            corrected = corrected or (joined and correction)
        current.append(atom)
        index = atom.last
    if current:
        flush()
    return found


def without_letters(run: Run) -> list[Run]:
    """The run cut at its letters."""
    parts: list[list[Atom]] = [[]]
    for atom in run.atoms:
        if atom.said is Said.LETTER:
            parts.append([])
        else:
            parts[-1].append(atom)
    return [Run(tuple(part), run.corrected, run.plus and part[0] is run.atoms[0]) for part in parts if part]


def letters_of(token: Token, language: Language) -> str:
    """The letter that a token is or names; empty: none."""
    if token.is_letter:
        return token.text
    return language.letters.get(token.text, "") if token.sort is Sort.WORD else ""


def is_number(token: Token, language: Language) -> bool:
    """Whether a token is figures or one of the words of numbers."""
    if token.sort is Sort.FIGURES:
        return True
    text = token.text
    tables = (language.digits, language.teens, language.tens, language.scales, language.times)
    return token.sort is Sort.WORD and any(text in table for table in tables)


def _trimmed(atoms: list[Atom], tokens: Sequence[Token]) -> list[Atom]:
    """Without an "a" or "I" at its ends, which are words, and without names of letters at its end."""
    begin, end = 0, len(atoms)
    while end > begin and atoms[end - 1].said is Said.LETTER and tokens[atoms[end - 1].first].text == "i":
        end -= 1
    while begin < end and atoms[begin].said is Said.LETTER and tokens[atoms[begin].first].text in _WORDS_TOO:
        following = atoms[begin + 1] if begin + 1 < end else None
        if following is not None and following.said is Said.LETTER:
            break
        begin += 1
    return atoms[begin:end]


def _atom(tokens: Sequence[Token], index: int, language: Language, current: Sequence[Atom]) -> Atom | None:
    token = tokens[index]
    if token.sort is Sort.FIGURES:
        return Atom(index, index + 1, token.text, Said.FIGURES)
    if token.sort is not Sort.WORD:
        return None
    return (
        _named(tokens, index, language)
        or _multiple(tokens, index, language)
        or _scale(token, index, language, current)
        or _sound(tokens, index, language, current)
        or _letter(tokens, index, language)
    )


def _named(tokens: Sequence[Token], index: int, language: Language) -> Atom | None:
    text = tokens[index].text
    if text in language.digits:
        return Atom(index, index + 1, language.digits[text], Said.DIGIT)
    if text in language.teens:
        return Atom(index, index + 1, language.teens[text], Said.TEEN)
    if text not in language.tens:
        return None
    after = index + 1
    if after + 1 < len(tokens) and tokens[after].text == "-" and tokens[after].glued:
        after += 1
    unit = language.digits.get(tokens[after].text, "0") if after < len(tokens) else "0"
    last = after + 1 if unit != "0" else index + 1
    return Atom(index, last, language.tens[text] + unit, Said.TENS)


def _multiple(tokens: Sequence[Token], index: int, language: Language) -> Atom | None:
    times = language.times.get(tokens[index].text)
    if times is None or index + 1 >= len(tokens):
        return None
    following = tokens[index + 1]
    text = language.digits.get(following.text) or language.sounds.get(following.text, "")
    if following.sort is Sort.FIGURES and len(following.text) == 1:
        text = following.text
    if len(text) == 1:
        return Atom(index, index + 2, text * times, Said.TIMES)
    if following.is_letter:
        return Atom(index, index + 2, following.text * times, Said.LETTER)
    return None


def _scale(token: Token, index: int, language: Language, current: Sequence[Atom]) -> Atom | None:
    if token.text in language.scales and current and current[-1].last == index:
        return Atom(index, index + 1, language.scales[token.text], Said.SCALE)
    return None


def _sound(tokens: Sequence[Token], index: int, language: Language, current: Sequence[Atom]) -> Atom | None:
    """A word that sounds like a digit is one within digits, at their end in the text, or before two."""
    text = tokens[index].text
    if text not in language.sounds:
        return None
    single = {Said.DIGIT, Said.FIGURES, Said.TIMES, Said.SOUND}
    within = bool(current) and current[-1].last == index and current[-1].said in single
    ahead = index + 1
    while within and ahead < len(tokens) and tokens[ahead].text in language.sounds:
        ahead += 1
    followed = _is_single(tokens, ahead, language)
    if within:
        ends = ahead >= len(tokens) and len(current) >= 3
        if not (followed or ends):
            return None
    else:
        begins = index == 0 or tokens[index - 1].text in language.links or tokens[index - 1].text == "number"
        if not (begins and followed and _is_single(tokens, index + 2, language)):
            return None
    return Atom(index, index + 1, language.sounds[text], Said.SOUND)


def _is_single(tokens: Sequence[Token], index: int, language: Language) -> bool:
    if index >= len(tokens):
        return False
    token = tokens[index]
    return token.sort is Sort.FIGURES or token.text in language.digits or token.text in language.times


def _letter(tokens: Sequence[Token], index: int, language: Language) -> Atom | None:
    """A letter, with the word that it is said to be as in: "c as in charlie"."""
    letter = letters_of(tokens[index], language)
    if not letter:
        return None
    last = index + 1
    while last < len(tokens) and last <= index + 2 and tokens[last].text in language.as_in:
        last += 1
    spelled = last > index + 1 and last < len(tokens) and tokens[last].text[:1] == letter
    return Atom(index, last + 1 if spelled else index + 1, letter, Said.LETTER)


def _joins(
    tokens: Sequence[Token], gap: range, language: Language, taken: frozenset[int]
) -> tuple[bool, bool]:
    """Whether a run goes on after these tokens, and whether it is corrected there."""
    if not taken.isdisjoint(gap):
        return False, False
    texts = [tokens[index].text for index in gap]
    if len(texts) <= _LONGEST_GAP and all(text in language.fillers or text in _SIGNS for text in texts):
        return True, False
    correction = language.patterns["corrections"].fullmatch(" ".join(texts))
    return correction is not None, True
