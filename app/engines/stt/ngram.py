"""Trigram language models in ARPA format, made from the phrases that callers are expected to say. Pure.

The format: Doug Paul's ARPA MIT-LL n-gram text format, as read by SphinxBase (``ngrams_init``). Probabilities
are base-10 logarithms. Smoothing is absolute discounting with back-off to the shorter history.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import log10
from typing import TypeAlias

START, END = "<s>", "</s>"
_DISCOUNT = 0.5  # of every count, left to what was not seen
_NEVER = -99.0
_TINY = 1e-9

_Counts: TypeAlias = "defaultdict[tuple[str, ...], defaultdict[str, float]]"


class NgramCounts:
    """How often words follow the one or two before them."""

    def __init__(self) -> None:
        self._followers: _Counts = defaultdict(lambda: defaultdict(float))

    def add(self, words: Sequence[str], weight: float = 1.0) -> None:
        """Count a whole sentence."""
        sentence = (START, *words, END)
        self.add_pairs(pairwise(sentence), weight)
        for first, second, third in zip(sentence, sentence[1:], sentence[2:], strict=False):
            self._followers[first, second][third] += weight

    def add_pairs(self, pairs: Iterable[tuple[str, str]], weight: float) -> None:
        """Count single pairs, where whole sentences would be too many."""
        for first, second in pairs:
            self._followers[first,][second] += weight

    def words(self) -> set[str]:
        """All words counted, without the sentence's ends."""
        heard = {word for counts in self._followers.values() for word in counts}
        return (heard | {word for history in self._followers for word in history}) - {START, END}

    def arpa(self) -> str:
        """The model as text. Needs at least one sentence."""
        model = _Model(self._followers)
        one = [f"{_NEVER:.4f} {START} {model.backoff((START,)):.4f}"]
        one += [f"{log10(p):.4f} {word} {model.backoff((word,)):.4f}" for word, p in model.unigrams.items()]
        two = [
            f"{log10(p):.4f} {first} {second} {model.backoff((first, second)):.4f}"
            for (first, second), p in model.seen(1)
        ]
        three = [f"{log10(p):.4f} {' '.join(words)}" for words, p in model.seen(2)]
        sections = (("\\1-grams:", one), ("\\2-grams:", two), ("\\3-grams:", three))
        lines = ["\\data\\", *(f"ngram {n}={len(part)}" for n, (_, part) in enumerate(sections, 1))]
        for title, part in sections:
            lines += ["", title, *part]
        return "\n".join([*lines, "", "\\end\\", ""])


class _Model:
    """Probabilities from counts."""

    def __init__(self, followers: Mapping[tuple[str, ...], Mapping[str, float]]) -> None:
        self._followers = followers
        totals: defaultdict[str, float] = defaultdict(float)
        for history, counts in followers.items():
            if len(history) == 1:
                for word, count in counts.items():
                    totals[word] += count
        whole = sum(totals.values())
        self.unigrams = {word: count / whole for word, count in totals.items()}

    def seen(self, history_words: int) -> Iterable[tuple[tuple[str, ...], float]]:
        """Every sequence counted after a history of so many words, with its probability."""
        for history, counts in self._followers.items():
            if len(history) == history_words:
                for word in counts:
                    yield (*history, word), self._discounted(history, word)

    def backoff(self, history: tuple[str, ...]) -> float:
        """log10 of the weight that makes all that may follow ``history`` sum to one."""
        counts = self._followers.get(history)
        if not counts:
            return 0.0
        left = 1.0 - sum(self._discounted(history, word) for word in counts)
        unseen = 1.0 - sum(self._probability(history[1:], word) for word in counts)
        return log10(left / unseen) if unseen > _TINY and left > _TINY else _NEVER

    def _discounted(self, history: tuple[str, ...], word: str) -> float:
        counts = self._followers[history]
        everything = len(counts) == len(self.unigrams)  # then nothing is left to give the discount to
        discount = 0.0 if everything else min(_DISCOUNT, min(counts.values()) / 2)
        return (counts[word] - discount) / sum(counts.values())

    def _probability(self, history: tuple[str, ...], word: str) -> float:
        if not history:
            return self.unigrams[word]
        if word in self._followers.get(history, ()):
            return self._discounted(history, word)
        return float(10 ** self.backoff(history)) * self._probability(history[1:], word)
