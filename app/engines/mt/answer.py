"""A model's translation without what models like to put around it: labels, quotation marks, notes. Pure."""

from __future__ import annotations

import re

_QUOTES = {
    '"': '"', "'": "'", "“": "”", "”": "”", "„": "“”", "‘": "’", "‚": "‘’", "«": "»", "»": "«", "「": "」",
    "『": "』", "‹": "›",
}  # fmt: skip
_DECORATION = "*_`"  # of Markdown
_TAIL = "".join({char for closing in _QUOTES.values() for char in closing}) + _DECORATION
_WORDS = (
    "translat", "traducci", "traducti", "traduzion", "traduç", "übersetz", "vertaling", "tłumacz", "перевод",
    "переклад", "翻译", "翻譯", "翻訳", "번역", "ترجمة",
)  # fmt: skip
_OPENINGS = (
    "a", "certainly", "course", "here", "here's", "here’s", "in", "is", "of", "okay", "sure", "the", "this",
    "your",
)  # fmt: skip
"""With the language's name, the words that stand before the label word. A translation may begin with them as
well: it is held until its first word that is none of them."""
_AROUND = 40  # characters on each side of the label word
_LABEL_CHARACTERS = 80
_LABEL_WORD = re.compile("|".join(_WORDS))
_BETWEEN_WORDS = re.compile(r"[\s,*_`]+")
_NEVER_IN_A_LABEL = re.compile(r"[.?!;\n。？！]")


class SpokenAnswer:
    """Feed it the pieces of the answer; it gives what is to be said, on one line.

    What the phrase itself has is left: quotation marks when it begins with one, a colon when it holds one.
    ``complete`` becomes true at an empty line, after which models comment on what they did.
    """

    def __init__(self, phrase: str, language: str) -> None:
        self._label: re.Pattern[str] | None = _label(language) if ":" not in phrase else None
        self._openings = {*_OPENINGS, *language.lower().split()}
        self._region = re.compile(rf"(?:in )?{re.escape(language.lower())} \([^)\n]*(?:\)[*_`]*)?")
        self._quoted = phrase[:1] not in _QUOTES
        self._closing = ""
        self._held = ""  # at the beginning: what may be a label; later: what may be the end
        self._begun = False
        self.complete = False

    def feed(self, text: str) -> str:
        """What can be said of what has come."""
        if self.complete:
            return ""
        self._held += text
        if not self._begun and not self._begin(at_end=False):
            return ""
        said, self._held = self._split()
        return said

    def finish(self) -> str:
        """The rest, when no more comes."""
        if self.complete or (not self._begun and not self._begin(at_end=True)):
            return ""
        rest = self._held.rstrip().rstrip(_DECORATION).rstrip()
        if self._closing and rest.endswith(tuple(self._closing)):
            rest = rest[:-1]
        self.complete, self._held = True, ""
        return _one_line(rest).rstrip()

    def _begin(self, *, at_end: bool) -> bool:
        """Take off what stands before the translation; ``False``: more must come to tell."""
        head = self._held.lstrip().lstrip(_DECORATION).lstrip()
        if not head:
            return False
        if self._label is not None:
            if found := self._label.match(head):
                head = head[found.end() :].lstrip().lstrip(_DECORATION).lstrip()
                self._label = None
                self._held = head
            elif not at_end and self._may_be_label(head):
                return False
        if not head:
            return False
        if self._quoted and head[0] in _QUOTES:
            self._closing = _QUOTES[head[0]]
            head = head[1:].lstrip()
        self._held, self._begun = head, True
        return True

    def _may_be_label(self, head: str) -> bool:
        if len(head) > _LABEL_CHARACTERS or _NEVER_IN_A_LABEL.search(head):
            return False
        lower = head.lstrip("\"'“«").lower()
        if self._region.fullmatch(lower):
            return True
        word = _LABEL_WORD.search(lower)
        *before, last = _BETWEEN_WORDS.split(lower[: word.start()] if word else lower)
        if not self._openings.issuperset(before):
            return False
        if word:
            return not last and len(lower) - word.end() <= _AROUND
        return any(start.startswith(last) for start in (*self._openings, *_WORDS))

    def _split(self) -> tuple[str, str]:
        """What can be said now, and what may be the end of the translation."""
        paragraph = re.search(r"\n[ \t]*\n", self._held)
        if paragraph:
            self._held = self._held[: paragraph.start()]
            return self.finish(), ""
        body = self._held.rstrip(f"{_TAIL} \t\r\n")
        return _one_line(body), self._held[len(body) :]


def _label(language: str) -> re.Pattern[str]:
    """Labels such as ``Translation:``, ``Spanish:``, ``Sure, here is the translation into Spanish:``."""
    name = re.escape(language)
    around = rf"[^:.?!\n]{{0,{_AROUND}}}"
    translation = rf"{around}(?:{'|'.join(_WORDS)}){around}"
    named = rf"(?:in )?{name}(?: \([^)\n]*\))?"
    return re.compile(rf"[\"'“«]?(?:{translation}|{named})[*_`]*[:：]", re.IGNORECASE)


def _one_line(text: str) -> str:
    return re.sub(r"[ \t]*[\r\n]+[ \t]*", " ", text)
