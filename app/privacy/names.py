"""Names where they are introduced, asked for, spelled or addressed, and where they are said again. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.privacy.cues import Phrases
from app.privacy.language import Language
from app.privacy.numbers import is_number, letters_of
from app.privacy.tokens import Sort, Token

_LONGEST = 4  # words of a name, without particles
_SPELLED = 3  # letters in a row that spell a name
_FEW_WORDS = 6  # an answer that is a name has no more


@dataclass(frozen=True, slots=True)
class Known:
    """What names of the call consist of, in lower case."""

    words: frozenset[str] = frozenset()

    def with_name(self, words: Sequence[str]) -> Known:
        """These too."""
        return Known(self.words | {word for word in words if len(word) > 1})


class Names:
    """The names of one text."""

    def __init__(self, tokens: Sequence[Token], phrases: Phrases, language: Language) -> None:
        self._tokens = tokens
        self._phrases = phrases
        self._language = language
        self._after = {first for first, _ in self._matches("name_after")}

    def introduced(self, *, asked: bool, taken: frozenset[int]) -> list[tuple[int, int]]:
        """Token ranges of names that this text introduces. ``asked``: the question was for a name."""
        found = [*self._after_cues(), *self._after_hints(), *self._before_cues(), *self._titled()]
        found += self._spelled(asked=asked, named=bool(found))
        if asked and not found:
            found += self._answer()
        return [(first, last) for first, last in found if taken.isdisjoint(range(first, last))]

    def repeated(self, known: Known) -> list[tuple[int, int]]:
        """Token ranges of names of the call, said or spelled again."""
        tokens, language = self._tokens, self._language
        hits = [token.sort is Sort.WORD and _root(token.text) in known.words for token in tokens]
        found: list[tuple[int, int]] = []
        for index, hit in enumerate(hits):
            if not hit:
                continue
            word = _root(tokens[index].text)
            beside = any(
                hits[at] and _root(tokens[at].text) != word
                for at in (index - 1, index + 1)
                if 0 <= at < len(hits)
            )
            plain = word not in language.common and word not in language.not_names
            if not (plain or beside or self._is_addressed(index)):
                continue
            if found and found[-1][1] == index:
                found[-1] = (found[-1][0], index + 1)
            else:
                found.append((index, index + 1))
        for first, last in self._letter_runs():
            if "".join(letters_of(token, language) for token in tokens[first:last]) in known.words:
                found.append((first, last))
        return found

    def words(self, first: int, last: int) -> list[str]:
        """What a name there is known by: its words, or the word that its letters spell."""
        tokens = [token for token in self._tokens[first:last] if token.sort is Sort.WORD]
        if tokens and all(letters_of(token, self._language) for token in tokens):
            return ["".join(letters_of(token, self._language) for token in tokens)]
        skipped = self._language.particles | self._language.titles | self._language.as_in
        return [_root(token.text) for token in tokens if token.text not in skipped]

    def _is_addressed(self, index: int) -> bool:
        """A word that is also a name is one after a greeting or a title, or with a capital in a sentence."""
        tokens, language = self._tokens, self._language
        if index == 0:
            return False
        before = tokens[index - 1]
        capital = tokens[index].written[:1].isupper() and before.text not in {".", "?", "!"}
        return capital or before.text in language.titles or before.text in language.greetings

    def _matches(self, name: str) -> Iterator[tuple[int, int]]:
        for match in self._language.patterns[name].finditer(self._phrases.text):
            yield self._phrases.tokens(*match.span())

    def _after_cues(self) -> list[tuple[int, int]]:
        return [span for _, last in self._matches("name_cues") if (span := self._name_at(last, sure=True))]

    def _after_hints(self) -> list[tuple[int, int]]:
        """ "I'm" and "this is": what follows is a name if it is one that people are given."""
        found: list[tuple[int, int]] = []
        for _, last in self._matches("name_hints"):
            span = self._name_at(last, sure=False)
            if span is not None and (self._is_given(span[0]) or self._is_confirmed(*span)):
                found.append(span)
        return found

    def _before_cues(self) -> list[tuple[int, int]]:
        """ "Linda speaking": at the beginning of what is said, or after words that are no names."""
        found: list[tuple[int, int]] = []
        for after in self._after:
            first = after
            while first > 0 and after - first < _LONGEST and self._may_begin(first - 1, sure=False):
                first -= 1
            if first < after and (self._is_given(first) or self._is_confirmed(first, after)):
                found.append((first, after))
        return found

    def _titled(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for index, token in enumerate(self._tokens):
            if token.text in self._language.titles - {"sir", "madam", "lady", "miss"}:
                after = index + 1
                after += after < len(self._tokens) and self._tokens[after].text == "."
                span = self._name_at(after, sure=False)
                if span is not None:
                    found.append((index, span[1]))
        return found

    def _spelled(self, *, asked: bool, named: bool) -> list[tuple[int, int]]:
        """Letters after "spelled", beside a name, or asked for."""
        cued = {last for _, last in self._matches("spelled")}
        named = named or any(True for _ in self._matches("name_cues"))
        found: list[tuple[int, int]] = []
        for first, last in self._letter_runs():
            alone = first == 0 and last == len(self._tokens)
            if asked or named or (first in cued and alone) or self._tokens[first - 1].text.startswith("spel"):
                found.append((first, last))
        return found

    def _letter_runs(self) -> list[tuple[int, int]]:
        """Letters in a row, each perhaps with the word that it begins: "s for sugar"."""
        tokens, language = self._tokens, self._language
        found: list[tuple[int, int]] = []
        index = 0
        while index < len(tokens):
            last, letters = index, 0
            while last < len(tokens):
                if tokens[last].is_letter or (letters and letters_of(tokens[last], language)):
                    letters += 1
                    last += 1
                elif letters and tokens[last].text in language.as_in and last + 1 < len(tokens):
                    if tokens[last + 1].text[:1] != tokens[last - 1].text[:1]:
                        break
                    last += 2
                elif letters and tokens[last].text in {"-", ",", "."} and last + 1 < len(tokens):
                    if not tokens[last + 1].is_letter:
                        break
                    last += 1
                elif tokens[last].text in language.times and last + 1 < len(tokens):
                    if not tokens[last + 1].is_letter:
                        break
                    letters += 2
                    last += 2
                else:
                    break
            if letters >= _SPELLED or (letters and last - index >= 3):
                found.append((index, last))
            index = max(last, index + 1)
        return found

    def _answer(self) -> list[tuple[int, int]]:
        """The answer to a question for a name: a few words, which are none of those that names never are."""
        tokens, language = self._tokens, self._language
        first = 0
        while first < len(tokens) and not self._may_begin(first, sure=False):
            first += 1
        words = [token for token in tokens if token.sort is Sort.WORD]
        span = self._name_at(first, sure=False)
        if span is None or len(words) - (span[1] - span[0]) > _FEW_WORDS:
            return []
        rest = [token for token in tokens[span[1] :] if token.sort is Sort.WORD]
        leading = all(
            token.text in language.not_names or len(token.text) == 1
            for token in tokens[:first]
            if token.sort is Sort.WORD
        )
        return [span] if leading and len(rest) <= _FEW_WORDS else []

    def _name_at(self, first: int, *, sure: bool) -> tuple[int, int] | None:
        """The name that begins here; ``sure``: unless the word is one that no name is."""
        tokens, language = self._tokens, self._language
        while (
            first < len(tokens)
            and tokens[first].text in {",", ":", "-", "uh", "um", "er", "the", "is"}
            and sure
        ):
            first += 1
        while first < len(tokens) and tokens[first].text in language.titles - {"sir", "madam", "lady"}:
            first += 1
            first += first < len(tokens) and tokens[first].text == "."
        if first >= len(tokens) or not self._may_begin(first, sure=sure):
            return None
        last, words = first, 0
        while last < len(tokens) and words < _LONGEST:
            token = tokens[last]
            if token.text in language.particles and last > first and last + 1 < len(tokens):
                last += 1
                continue
            hyphen = token.text == "-" and token.glued and last + 1 < len(tokens) and tokens[last + 1].glued
            if hyphen and last > first:
                last += 1
                continue
            if not self._may_go_on(last, started=last > first):
                break
            words += 1
            last += 1
        while last > first and tokens[last - 1].text in language.particles | {"-"}:
            last -= 1
        return (first, last) if last > first else None

    def _may_begin(self, index: int, *, sure: bool) -> bool:
        token, language = self._tokens[index], self._language
        if token.sort is not Sort.WORD or token.is_letter or is_number(token, language):
            return False
        never = language.not_names | language.dot | language.at | language.joins
        return _root(token.text) not in never or (sure and token.text in language.given_names)

    def _may_go_on(self, index: int, *, started: bool) -> bool:
        token, language = self._tokens[index], self._language
        if not started:
            return True
        if token.sort is not Sort.WORD or token.is_letter or is_number(token, language):
            return False
        if index in self._after:
            return False
        return token.text not in language.not_names and token.text not in language.months.keys() - {
            "may",
            "april",
        }

    def _is_given(self, index: int) -> bool:
        token = self._tokens[index]
        if _root(token.text) not in self._language.given_names:
            return False
        return token.text not in self._language.common or self._has_capital(index) or self._is_followed(index)

    def _is_followed(self, index: int) -> bool:
        """A common word that is a name has another one behind it, or nothing."""
        span = self._name_at(index, sure=False)
        return span is not None and (span[1] - span[0] == 2 or span[1] == len(self._tokens))

    def _has_capital(self, index: int) -> bool:
        return index > 0 and self._tokens[index].written[:1].isupper()

    def _is_confirmed(self, first: int, after: int) -> bool:
        """ "Speaking" stands behind the name; or "here" or "from", and the name is of two words."""
        tokens, language = self._tokens, self._language
        if after >= len(tokens) or any(
            token.text.endswith(language.not_name_ends) for token in tokens[first:after]
        ):
            return False
        if after in self._after:
            return after - first >= 2 or self._opens(first)
        return tokens[after].text in language.name_from and after - first == 2

    def _opens(self, first: int) -> bool:
        """Nothing but a greeting or "this is" stands before it."""
        before = [token for token in self._tokens[:first] if token.sort is Sort.WORD]
        return all(token.text in self._language.not_names for token in before) and len(before) <= 3


def _root(word: str) -> str:
    return word.removesuffix("'s")
