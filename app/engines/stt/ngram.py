"""Bigram language models in ARPA format, made from the phrases that callers are expected to say. Pure.

The format: Doug Paul's ARPA MIT-LL n-gram text format, as read by SphinxBase (``ngrams_init``). Probabilities
are base-10 logarithms. Smoothing is absolute discounting with back-off to unigrams.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import log10

START, END = "<s>", "</s>"
_DISCOUNT = 0.5  # of every pair's count, left to pairs that were not seen
_NEVER = -99.0


class BigramCounts:
    """How often words follow each other."""

    def __init__(self) -> None:
        self._pairs: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))

    def add(self, words: Sequence[str], weight: float = 1.0) -> None:
        """Count a whole sentence."""
        self.add_pairs(zip((START, *words), (*words, END), strict=True), weight)

    def add_pairs(self, pairs: Iterable[tuple[str, str]], weight: float) -> None:
        """Count single pairs, where whole sentences would be too many."""
        for first, second in pairs:
            self._pairs[first][second] += weight

    def words(self) -> set[str]:
        """All words counted, without the sentence's ends."""
        followers = {word for counts in self._pairs.values() for word in counts}
        return (followers | set(self._pairs)) - {START, END}

    def arpa(self) -> str:
        """The model as text. Needs at least one sentence."""
        unigrams = self._unigrams()
        one = [f"{_NEVER:.4f} {START} {self._backoff(START, unigrams):.4f}"]
        one += [f"{log10(p):.4f} {word} {self._backoff(word, unigrams):.4f}" for word, p in unigrams.items()]
        two = [
            f"{log10(self._seen(first, second)):.4f} {first} {second}"
            for first, counts in self._pairs.items()
            for second in counts
        ]
        head = ["\\data\\", f"ngram 1={len(one)}", f"ngram 2={len(two)}"]
        return "\n".join([*head, "", "\\1-grams:", *one, "", "\\2-grams:", *two, "", "\\end\\", ""])

    def _unigrams(self) -> dict[str, float]:
        totals: defaultdict[str, float] = defaultdict(float)
        for counts in self._pairs.values():
            for second, count in counts.items():
                totals[second] += count
        whole = sum(totals.values())
        return {word: count / whole for word, count in totals.items()}

    def _seen(self, first: str, second: str) -> float:
        counts = self._pairs[first]
        discount = min(_DISCOUNT, min(counts.values()) / 2)
        return (counts[second] - discount) / sum(counts.values())

    def _backoff(self, first: str, unigrams: Mapping[str, float]) -> float:
        """log10 of the weight that makes all that may follow ``first`` sum to one."""
        counts = self._pairs.get(first)
        if not counts:
            return 0.0
        left = 1.0 - sum(self._seen(first, second) for second in counts)
        unseen = 1.0 - sum(unigrams[second] for second in counts)
        return log10(left / unseen) if unseen > 1e-9 and left > 1e-9 else _NEVER
