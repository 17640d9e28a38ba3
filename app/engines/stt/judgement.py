"""Whether to believe what the decoder heard, and which of two searches heard it right. Pure.

A small language model finds its own words in any speech. What gives it away are words that hardly won over
others at their place (posterior) and words that no phrase has in this order (not a known pair).
``LEAST_CONFIDENCE`` was chosen on 80 utterances of the domain by four synthetic voices and 55 others, 15 of
them recorded: it believes 76 of the former and none of the latter. On 56 and 40 that it was not chosen on, it
believes 48 of the former and one of the latter.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.engines.digits import count_digits, digit_runs, figures, spaced
from app.engines.ports import UNCLEAR

LEAST_CONFIDENCE = 0.4
_LONGEST_FRAMES = 40  # of a word, and so many more a letter: longer ones are noise drawn out into a word
_LONGEST_LETTER_FRAMES = 15
_NOISE_FRAMES = 40  # 0.4 s: shorter sounds that are not believed are noise, not speech
_MOSTLY_DIGITS = 0.35  # of the words heard
_SOME_DIGITS = 0.15
_LEAST_DIGITS_CONFIDENCE = 0.75
_WORSE_FIT = -1.0  # log-likelihood a frame that a number may fit worse than free words


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word on the decoder's best path."""

    word: str
    frames: int  # of 10 ms
    fit: float  # acoustic log-likelihood of all its frames, 0 at best
    posterior: float
    known_pair: bool = True

    @property
    def has_usual_length(self) -> bool:
        """Whether a person may speak the word that slowly."""
        return self.frames <= _LONGEST_FRAMES + _LONGEST_LETTER_FRAMES * len(self.word)


@dataclass(frozen=True, slots=True)
class Heard:
    """What one search heard in a segment; without words: silence."""

    words: tuple[HeardWord, ...] = ()

    @property
    def text(self) -> str:
        """The words."""
        return " ".join(word.word for word in self.words)

    @property
    def frames(self) -> int:
        """Frames of the words."""
        return sum(word.frames for word in self.words)

    @property
    def posterior(self) -> float:
        """Mean posterior of a frame."""
        return sum(word.posterior * word.frames for word in self.words) / max(1, self.frames)

    @property
    def confidence(self) -> float:
        """0 to 1: mean posterior of a word; one too long, or that no phrase has there, counts nothing."""
        believed = sum(word.posterior for word in self.words if word.known_pair and word.has_usual_length)
        return believed / max(1, len(self.words))

    @property
    def fit(self) -> float:
        """Mean acoustic log-likelihood of a frame."""
        return sum(word.fit for word in self.words) / max(1, self.frames)


def judge(free: Heard) -> tuple[str, float]:
    """The transcript and its confidence where anything may be said. Empty: no words."""
    if not free.words:
        return "", 0.0
    if free.confidence >= LEAST_CONFIDENCE:
        return figures(free.text), free.confidence
    return (UNCLEAR if free.frames >= _NOISE_FRAMES else ""), free.confidence


def judge_number(free: Heard, number: Heard, length: int | None) -> tuple[str, float]:
    """The same while a number is expected; the caller may say something else all the same.

    ``number`` comes from a search that hears digits in everything; ``free`` tells whether there were any.
    Where only its digits are as many as were asked for, they count: in 3 of 100 alignments of the same words
    with the decoder's frames, the former hears one too many in the end of the last.
    """
    digits, found = "".join(digit_runs(number.text)), "".join(digit_runs(free.text))
    if length is not None and len(digits) != length and len(found) == length:
        digits = found
    share = count_digits(free.text) / max(1, len(free.words))
    right_length = length is None or len(digits) == length
    certain = right_length and number.posterior >= _LEAST_DIGITS_CONFIDENCE
    fits = number.fit - free.fit > _WORSE_FIT
    if digits and (share >= _MOSTLY_DIGITS or (share >= _SOME_DIGITS and certain and fits)):
        return spaced(digits), number.posterior
    return judge(free)
