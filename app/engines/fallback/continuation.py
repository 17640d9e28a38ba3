"""Going on with a reply that another model has begun. Pure.

The next model is asked to go on after the words so far. Some begin anew all the same, or repeat the last
words: what repeats is left out, so that the caller hears no word twice. They go on after whole words only:
of a word that was broken off, nobody could tell whether the next model says the rest or all of it.
"""

from __future__ import annotations

import re

from app.engines.digits import is_number

_BETWEEN = " \t\n.,;:!?…"  # after what repeats: it was said with it
_WORD = re.compile(r"\w+(?:['’]\w+)*")
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese: no space tells where a word ends."""
_GOES_ON = re.compile(rf"(?:[^\s.,;:!?…।॥。！？؟۔，、；：،؛)\]}}\"”»」』{_UNSPACED}]|\d[.,:])\Z")
"""Ends a text whose last word may not be over: no mark, or one that may stand in a number."""


class WholeWords:
    """Text as it comes but for its last word, which is given once more has come.

    The first piece of a reply is given as it is, unless it has ``begun``: its beginning waits for nothing.
    Phrases end with a mark or a space, and those come at once.
    """

    def __init__(self, *, begun: bool) -> None:
        self._held = ""
        self._begun = begun

    def feed(self, text: str) -> str:
        """What of it all is whole."""
        if not self._begun:
            self._begun = bool(text)
            return text
        text = self._held + text
        last = text.rsplit(maxsplit=1)[-1] if _GOES_ON.search(text) else ""
        self._held = last
        return text.removesuffix(last)

    def finish(self) -> str:
        """The last word, which is over."""
        held, self._held = self._held, ""
        return held


class Continuation:
    """Text of the next model, without what repeats ``said``. Feed it; it gives what is new."""

    def __init__(self, said: str) -> None:
        self._said = [word.lower() for word in _WORD.findall(said)]
        self._before = said
        self._held = ""
        self._decided = not self._said
        self._repeated = False
        self._begun = False

    def feed(self, text: str) -> str:
        """What of it all is new so far."""
        if self._decided:
            return self.join(text)
        self._held += text
        repeat = self._repeat(whole=False)
        if repeat is None:
            return ""
        return self._decide(repeat)

    def finish(self) -> str:
        """What is new in what was held back, when no more comes."""
        return "" if self._decided else self._decide(self._repeat(whole=True) or 0)

    def _decide(self, repeat: int) -> str:
        self._decided = True
        held, self._held = self._held[repeat:], ""
        self._repeated = repeat > 0
        return self.join(held)

    def join(self, text: str) -> str:
        """Text that is new for sure; the first of it is kept apart from the words before."""
        if self._begun:
            return text
        if self._repeated:
            text = text.lstrip(_BETWEEN)
        elif self._before[-1:].isspace():
            text = text.lstrip()
        if not text:
            return ""
        self._begun = True
        apart = not self._before or self._before[-1].isspace() or not text[0].isalnum()
        return text if apart else " " + text

    def _repeat(self, *, whole: bool) -> int | None:
        """How many characters at the beginning repeat; ``None`` while that may still grow.

        Either all that was said is said again, or its last words are; one and the same digit, said once more,
        is the next of a number.
        """
        matches = list(_WORD.finditer(self._held))
        words = [match[0].lower() for match in matches]
        settled = (
            len(words) if whole or not matches or matches[-1].end() < len(self._held) else len(words) - 1
        )
        if not settled:
            return 0 if whole else None
        known = self._said
        longest = 0
        for start in range(len(known)):
            tail = known[start:]
            common = _alike(tail, words[:settled])
            if common == settled < len(tail) and not whole:
                return None  # it repeats so far
            same = len(set(tail)) == 1 and is_number(tail[0])
            if common == len(tail) and (start == 0 or not same):
                longest = max(longest, common)
        return matches[longest - 1].end() if longest else 0


def _alike(one: list[str], other: list[str]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
