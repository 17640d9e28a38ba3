"""How likely a turn is over by its words alone. Pure.

A number from 0, where the words cannot be all, to 1, where nothing is missing; ``UNKNOWN`` where they say
neither. Recognisers often give no punctuation, so the last clause is judged by its grammar (``clause``).
Intonation is not known here, so a whole clause may still go on.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.voice.clause import Clause, last_clause
from app.voice.language import Language, normalise

OPEN = 0.0
HANGING = 0.15  # something is missing, by all rules; people break them now and then
UNKNOWN = 0.5
WHOLE = 0.75  # a clause with all its parts, a bare "yes"
ANSWERED = 0.9  # "that's correct", "nothing else"
ASKED = 0.95  # a whole question: the floor is offered
DONE = 1.0

_CLAUSES = {
    Clause.HANGING: HANGING,
    Clause.FRAGMENT: UNKNOWN,
    Clause.STATED: WHOLE,
    Clause.ASKED: ASKED,
}
_TRAILING_OFF = ("...", "…", "-", "–", "—", ",", ":", ";", "、", "，")
_LONGEST_PHRASE = 6  # words of a closing or an answer


def completeness(text: str, language: Language) -> float:
    """How likely the caller's words, with or without punctuation, are all of the turn."""
    text = text.rstrip()
    sentence = _last_sentence(text, language.sentence_ends)
    words = normalise(sentence).split()
    if not words:
        return UNKNOWN
    by_words = _by_words(words, language) if language.spaced else _by_ending(words[-1], language)
    if text.endswith(_TRAILING_OFF):
        return min(by_words, HANGING)
    if text[-1] in language.sentence_ends:
        return by_words if by_words <= HANGING else DONE
    punctuated = len(sentence) < len(text)
    return min(by_words, UNKNOWN) if punctuated and by_words < ASKED else by_words


def _last_sentence(text: str, ends: str) -> str:
    """The text's last sentence, with the punctuation that ends it."""
    body = text.rstrip(ends + " ")
    return text[max(body.rfind(end) for end in ends) + 1 :]


def _by_ending(text: str, language: Language) -> float:
    """For a language written without spaces."""
    if text in language.answers or text in language.backchannels:
        return WHOLE
    ending = max((known for known in language.closings if text.endswith(known)), key=len, default="")
    open_ending = max(
        (known for known in language.continuing | language.hesitations if text.endswith(known)),
        key=len,
        default="",
    )
    if len(ending) > len(open_ending):
        return ASKED
    return HANGING if open_ending else UNKNOWN


def _by_words(words: Sequence[str], language: Language) -> float:
    phrase = " ".join(words)
    last = words[-1]
    if last in language.hesitations and not (len(words) > 1 and phrase in language.backchannels):
        return OPEN
    if phrase in language.answers or phrase in language.backchannels:
        return ANSWERED if len(words) > 1 else WHOLE
    if _ends_with(words, language.closings):
        return DONE
    if last in language.continuing:
        return OPEN
    if _dictates(words, language):
        return HANGING
    return UNKNOWN if language.grammar is None else _CLAUSES[last_clause(words, language.grammar)]


def _ends_with(words: Sequence[str], phrases: frozenset[str]) -> bool:
    return any(
        " ".join(words[-length:]) in phrases for length in range(1, min(_LONGEST_PHRASE, len(words)) + 1)
    )


def _dictates(words: Sequence[str], language: Language) -> bool:
    """Whether the last two words are digits or letters: a number or a spelled name that may go on."""
    return len(words) > 1 and all(_is_symbol(word, language) for word in words[-2:])


def _is_symbol(word: str, language: Language) -> bool:
    return len(word) == 1 or word in language.digits or word in language.letters or word.isdigit()
