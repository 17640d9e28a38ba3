"""Going on with a reply that another model has begun. Pure.

The next model is given the words so far and asked to go on after them. Some begin anew all the same, or
repeat the last words: what repeats is left out, so that the caller hears no word twice.
"""

from __future__ import annotations

import re
from dataclasses import replace

from app.engines.ports import Message, ReplyRequest

_ASK = (
    "(Your reply was cut off after these words, which the caller has heard. Go on with the very next word. "
    "Do not repeat any of it, and do not mention this.)"
)
_BETWEEN = " \t\n.,;:!?…"  # after what repeats: it was said with it
_WORD = re.compile(r"\w+(?:['’]\w+)*")


def resumed(request: ReplyRequest, said: str) -> ReplyRequest:
    """The request for what follows ``said``."""
    if not said.strip():
        return request
    return replace(request, messages=(*request.messages, Message("assistant", said), Message("user", _ASK)))


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

        Either all that was said is said again, or its last words are; a lone digit is the next of a number.
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
            if common == len(tail) and (common > 1 or start == 0 or not tail[0].isdigit()):
                longest = max(longest, common)
        return matches[longest - 1].end() if longest else 0


def _alike(one: list[str], other: list[str]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
