"""How long a silence ends the caller's turn. Pure.

The words decide: a complete expected answer or a whole question ends it soon, "and" or "um" late. A model
that hears the intonation may shorten or lengthen that, between the shortest and the longest wait.
"""

from __future__ import annotations

from app.engines.digits import count_digits
from app.engines.ports import UNCLEAR, Expectation
from app.voice.completeness import DONE, HANGING, OPEN, UNKNOWN, completeness
from app.voice.language import Language, language_of, normalise
from app.voice.profile import Endpointing

_TAIL_CHARACTERS = 160
"""Of a long turn only the end is judged, so that its length costs nothing."""

_SUREST = 0.98  # neither words nor intonation are ever surer


class Endpointer:
    """One agent's patience, in the language (BCP 47) of its callers."""

    def __init__(self, settings: Endpointing, language: str) -> None:
        self._settings = settings
        self._language = language_of(language)

    def wait(self, text: str, *, expected: Expectation | None = None, complete: float | None = None) -> float:
        """Seconds of silence that end a turn of these words.

        ``text``: the caller's turn so far, with the interim where a final is missing. ``expected``: what the
        agent asked for. ``complete``: how likely the turn sounds complete, 0 to 1, once a model heard it.
        """
        settings = self._settings
        if expected is not None and expected.kind != "yes_no":
            said = _count(text, expected, self._language)
            if said and (expected.length is None or said < expected.length):
                return self._dictating(expected, complete)
            if said:
                return settings.finished_seconds
        likely = completeness(text[-_TAIL_CHARACTERS:].replace(UNCLEAR, " "), self._language)
        if expected is not None and expected.kind == "yes_no" and self._answers(text):
            likely = DONE
        return self._seconds(self._weigh(likely, complete))

    def _dictating(self, expected: Expectation, complete: float | None) -> float:
        """Between digits or letters. Each group of them sounds complete, so intonation only lengthens this,
        unless nobody knows how many there are to be."""
        settings = self._settings
        if expected.length is not None:
            return settings.dictating_seconds
        return self._seconds(self._weigh(HANGING, complete))

    def _answers(self, text: str) -> bool:
        return normalise(text) in self._language.answers

    def _weigh(self, likely: float, complete: float | None) -> float:
        """The words' verdict and, by its weight, the model's: their odds multiply."""
        if complete is None:
            return likely
        return _likelihood(_odds(likely) * _odds(complete) ** self._settings.model_weight)

    def _seconds(self, likely: float) -> float:
        settings = self._settings
        if likely >= UNKNOWN:
            share = (likely - UNKNOWN) / (DONE - UNKNOWN)
            return settings.usual_seconds + share * (settings.finished_seconds - settings.usual_seconds)
        share = (UNKNOWN - likely) / (UNKNOWN - OPEN)
        return settings.usual_seconds + share * (settings.unfinished_seconds - settings.usual_seconds)


def _odds(likelihood: float) -> float:
    within = min(_SUREST, max(1.0 - _SUREST, likelihood))
    return within / (1.0 - within)


def _likelihood(odds: float) -> float:
    return odds / (1.0 + odds)


def _count(text: str, expected: Expectation, language: Language) -> int:
    """How many of the digits or letters asked for were said."""
    if expected.kind == "digits" and language.tag == "en":
        return count_digits(text)
    words = normalise(text).split()
    if expected.kind == "digits":
        return sum(len(word) if word.isdecimal() else word in language.digits for word in words)
    return sum(len(word) == 1 or word in language.letters for word in words)
