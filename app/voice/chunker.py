"""A model's tokens to phrases that can be spoken as they are made. Pure; time is an argument.

A phrase ends with its sentence, at a clause once it is long enough, or at a word once it is too long. The
first phrase of a reply may end at an early clause, and at a word when the model is slow, so that the
caller hears something soon. What is read as one stays whole: numbers with what they count, abbreviations
with what they shorten, addresses, links, code.

What is cut never depends on how the text was split into deltas, time apart: a place where the next
characters decide waits for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.voice.abbreviations import abbreviations_of, stop_binds, stop_ends
from app.voice.profile import Phrasing

_USUAL = Phrasing()
_CLOSING = "\"')\\]”’»」』）*_`"
_CANDIDATE = re.compile(
    rf"(?P<line>\n)"
    rf"|(?P<full>[।॥。？！؟۔]++[{_CLOSING}]*+)"
    rf"|(?P<dots>(?:\.\.+|…+)[{_CLOSING}]*)(?=\s)"
    rf"|(?P<stop>\.)[{_CLOSING}]*(?=\s)"
    rf"|(?P<mark>[.!?…]+[{_CLOSING}]*)(?=\s)"
    rf"|(?P<clause>[,;:–—](?=\s)|[，、；：،؛])"
)
_FENCE = re.compile(r"^[ \t]*(?P<fence>```|~~~)[^`\n]*(?P<line>\n|\Z)", re.MULTILINE)
_FENCE_END = {fence: re.compile(rf"^[ \t]*{fence}`*[ \t]*(?=\n)", re.MULTILINE) for fence in ("```", "~~~")}
_NEXT = re.compile(r"\s+(\S)")
_SPACE = re.compile(r"\s")
_JOINS_NEXT = re.compile(r"[\d+(\[&@/]$|\d\)$")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese: written without spaces, cut anywhere."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """``text`` is the stripped text of characters ``start`` to ``end`` of the reply."""

    text: str
    start: int
    end: int


class Chunker:
    """One reply's text. Feed it deltas; it gives the phrases that are complete.

    ``deadline``: when to ask for what is ``overdue``, on the clock of ``now``; None: nothing is.
    """

    def __init__(self, phrasing: Phrasing = _USUAL, language: str = "en-US") -> None:
        self.deadline: float | None = None
        self._phrasing = phrasing
        self._abbreviations = abbreviations_of(language)
        self._waiting = ""  # begins with no white space
        self._start = 0  # of ``_waiting`` in the reply
        self._since: float | None = None  # when ``_waiting`` began to wait for the first phrase's end
        self._first = True

    def feed(self, delta: str, now: float = 0.0) -> list[Phrase]:
        """Take more text at ``now``, in seconds of any clock."""
        self._waiting += delta
        phrases = self._complete(final=False)
        if self._first and self._waiting and self._since is None:
            self._since = now
        self._set_deadline()
        return phrases + self.overdue(now)

    def overdue(self, now: float) -> list[Phrase]:
        """The words of the first phrase, when they have waited too long for its end."""
        if self.deadline is None or now < self.deadline:
            return []
        end = self._last_word_end(self._phrasing.longest)
        self.deadline = None
        return [self._cut(end)] if end is not None else []

    def finish(self) -> list[Phrase]:
        """No more text comes for now: the rest is spoken as it is."""
        phrases = self._complete(final=True)
        if self._waiting:
            phrases.append(self._cut(len(self._waiting)))
        self.deadline = None
        return phrases

    def _complete(self, *, final: bool) -> list[Phrase]:
        phrases = []
        self._drop_leading_space()
        while (end := self._phrase_end(final=final)) is not None:
            phrases.append(self._cut(end))
        return phrases

    def _cut(self, end: int) -> Phrase:
        text = self._waiting[:end].rstrip()
        phrase = Phrase(text, self._start, self._start + len(text))
        self._waiting = self._waiting[end:]
        self._start += end
        self._drop_leading_space()
        self._first = False
        self._since = None
        return phrase

    def _drop_leading_space(self) -> None:
        stripped = self._waiting.lstrip()
        self._start += len(self._waiting) - len(stripped)
        self._waiting = stripped

    def _set_deadline(self) -> None:
        """Only when there is a word to end with: what is overdue can then be given."""
        if self._since is None or self._last_word_end(self._phrasing.longest) is None:
            self.deadline = None
        else:
            self.deadline = self._since + self._phrasing.wait_seconds

    # Where a phrase ends. A position counts characters of ``_waiting`` and is where the next phrase begins.

    def _phrase_end(self, *, final: bool) -> int | None:
        """Where the first phrase ends; None when that is not known yet."""
        text, longest = self._waiting, self._phrasing.longest
        fences = _fences(text, longest)
        for match in _CANDIDATE.finditer(text):
            if match.end() > longest and not fences:
                break
            if any(begin <= match.start() < end for begin, end in fences):
                continue
            verdict = self._ends_here(match, final=final)
            if verdict is None:
                return None
            if verdict:
                return match.end()
        if fences or len(text) <= longest:
            return None
        return self._forced_end(longest)

    def _ends_here(self, match: re.Match[str], *, final: bool) -> bool | None:
        """Whether a phrase ends with this mark; None: the characters after it decide."""
        text, begin, end = self._waiting, match.start(), match.end()
        kind = match.lastgroup
        if kind == "clause":
            return self._clause_ends(begin, end, final=final)
        if end < self._phrasing.shortest:
            return False
        if kind == "line":
            return True
        if _is_open(text[:begin]):
            return False
        if kind == "full":
            return True if final or end < len(text) else None
        if kind == "dots":
            following = _NEXT.match(text, end)
            return (True if final else None) if following is None else not following[1].islower()
        if kind == "stop":
            return stop_ends(self._abbreviations, text[:begin], text[end:], final=final)
        return True

    def _clause_ends(self, begin: int, end: int, *, final: bool) -> bool | None:
        text = self._waiting
        least = self._phrasing.first_clause if self._first else self._phrasing.clause
        if end <= max(least, self._phrasing.shortest) or _is_open(text[:begin]):
            return False
        if not text[begin - 1].isdigit():
            return True
        following = _NEXT.match(text, end)  # digits that are read out one by one stay together
        return (True if final else None) if following is None else not following[1].isdigit()

    def _forced_end(self, longest: int) -> int | None:
        """The last place where a phrase can end that has grown too long."""
        text = self._waiting
        if (end := self._last_word_end(longest)) is not None:
            return end
        spaces = [match.start() for match in _SPACE.finditer(text, 1, longest + 1)]
        if spaces:
            return spaces[-1]
        for end in range(longest, 1, -1):
            if _UNSPACED.match(text, end - 1):
                return end
        after = _SPACE.search(text, longest)
        return after.start() if after is not None else None

    def _last_word_end(self, limit: int) -> int | None:
        """The last white space, up to ``limit``, at which words may be parted."""
        text = self._waiting
        if _fences(text, self._phrasing.longest):
            return None
        for end in range(min(limit, len(text) - 1), self._phrasing.shortest - 1, -1):
            if text[end].isspace() and not self._joins_next(text[:end].rstrip()):
                return end
        return None

    def _joins_next(self, before: str) -> bool:
        if _JOINS_NEXT.search(before) or _is_open(before):
            return True
        return before.endswith(".") and stop_binds(self._abbreviations, before[:-1])


def _is_open(text: str) -> bool:
    """A link's text or a span of code has begun and not ended."""
    return text.rfind("[") > text.rfind("]") or text.count("`") % 2 == 1


def _fences(text: str, limit: int) -> list[tuple[int, int]]:
    """Where blocks of code that open before ``limit`` begin and end; without an end they go on for ever."""
    spans: list[tuple[int, int]] = []
    position = 0
    while (opening := _FENCE.search(text, position)) is not None:
        if opening.end("fence") > limit:
            break
        closing = _FENCE_END[opening["fence"]].search(text, opening.end())
        position = closing.end() if closing is not None else len(text) + 1
        spans.append((opening.start(), position))
        if closing is None:
            break
    return spans
