"""What a language is to turn-taking, and how text is made comparable with its phrases. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

LATIN_ENDS = ".!?"
SENTENCE_ENDS = LATIN_ENDS + "।॥。？！؟۔"
"""Characters that end a sentence in some language."""

_APOSTROPHES = "'’ʼ＇"
_SPACE, _APOSTROPHE = ord(" "), ord("'")


class _Plain(dict[int, int]):
    """Code point -> what stands for it in normalised text, for ``str.translate``; learnt as they come."""

    def __missing__(self, code: int) -> int:
        character = chr(code)
        if character in _APOSTROPHES:
            plain = _APOSTROPHE
        elif unicodedata.category(character)[0] in "PSZC":  # punctuation, symbols, separators, controls
            plain = _SPACE
        else:
            plain = code
        self[code] = plain
        return plain


_PLAIN = _Plain()


def normalise(text: str) -> str:
    """Lower case, without punctuation, words separated by single spaces.

    An apostrophe inside a word belongs to it (``I’m`` becomes ``i'm``); a hyphen separates words
    (``Mm-hmm.`` becomes ``mm hmm``).
    """
    plain = unicodedata.normalize("NFC", text).lower().translate(_PLAIN)
    return " ".join(word.strip("'") for word in plain.split() if word != "'")


def phrases(*lines: str) -> frozenset[str]:
    """The normalised phrases of some lines of data, separated by commas."""
    return frozenset(normalise(part) for line in lines for part in line.split(",") if part.strip())


def words(*lines: str) -> frozenset[str]:
    """The words of some lines of data, separated by spaces."""
    return frozenset(word for line in lines for word in line.split())


@dataclass(frozen=True, slots=True)
class Grammar:
    """The closed classes and common verbs by which a clause without punctuation shows whether it is whole."""

    openers: frozenset[str]  # words before the clause proper: "hello", "so", "please"
    coordinators: frozenset[str]  # between clauses of one rank
    beginnings: frozenset[str]  # begin a clause after a coordinator
    subordinators: frozenset[str]  # begin a clause that needs a verb, and a main clause besides
    relatives: frozenset[str]  # begin a clause that needs a verb; some also ask
    questions: frozenset[str]  # ask, before a verb
    object_questions: frozenset[str]  # of those: ask for the verb's object
    subjects: frozenset[str]  # pronouns that do something
    only_subjects: frozenset[str]  # of those: never an object
    objects: frozenset[str]  # pronouns that something is done to
    persons: frozenset[str]  # of those: people, who are told or given something
    determiners: frozenset[str]  # a noun follows, even if it looks like a verb
    prepositions: frozenset[str]
    particles: frozenset[str]  # of those: also part of a verb, as in "hang on"
    auxiliaries: frozenset[str]
    contracted: frozenset[str]  # of those: run together with the word before
    copulas: frozenset[str]  # verbs that wait for what someone is
    wanting: frozenset[str]  # forms of verbs that wait for an object
    verbs: frozenset[str]  # forms of other common verbs
    negations: frozenset[str]
    between: frozenset[str]  # words inside a verb group: "not", "just"


@dataclass(frozen=True, slots=True)
class Language:
    """A language's words for turn-taking, all normalised. Empty sets know nothing and claim nothing.

    ``tag`` is the base language (BCP 47, ``en``); empty: unknown. In a language without ``spaced`` words,
    phrases are compared with the end of the text.
    """

    tag: str = ""
    spaced: bool = True
    sentence_ends: str = SENTENCE_ENDS
    backchannels: frozenset[str] = frozenset()  # phrases of a listener: heard, go on
    hesitations: frozenset[str] = frozenset()  # words of a speaker who searches for words
    answers: frozenset[str] = frozenset()  # phrases that answer a yes-or-no question
    closings: frozenset[str] = frozenset()  # phrases that often end a turn: "please", "thank you", "goodbye"
    continuing: frozenset[str] = frozenset()  # words that cannot be a turn's last
    light: frozenset[str] = frozenset()  # others that say nothing alone: pronouns, auxiliaries, prepositions
    digits: frozenset[str] = frozenset()  # words of zero to nine
    letters: frozenset[str] = frozenset()  # words that stand for a letter, besides single letters
    grammar: Grammar | None = None

    def is_light(self, text: str) -> bool:
        """Whether normalised text has no word of weight, though it has words: ``can``, ``i do``."""
        words = text.split()
        return bool(words) and all(word in self.light or word in self.continuing for word in words)

    def is_backchannel(self, text: str, more: Iterable[str] = ()) -> bool:
        """Whether all of the text is backchannels, one or several; ``more``: an agent's own, normalised."""
        known = self.backchannels | frozenset(more)
        return bool(text) and _made_of(normalise(text).split(), known)


def _made_of(spoken: list[str], known: frozenset[str]) -> bool:
    """Whether the words are phrases of ``known``, one after the other."""
    reached = [True] + [False] * len(spoken)
    for end in range(1, len(spoken) + 1):
        reached[end] = any(reached[start] and " ".join(spoken[start:end]) in known for start in range(end))
    return bool(spoken) and reached[-1]
