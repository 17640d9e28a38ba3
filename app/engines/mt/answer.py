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
    "translat", "traducci", "traducti", "traduzion", "traduç", "übersetz", "vertaling", "tłumaczen",
    "перевод", "переклад", "翻译", "翻譯", "翻訳", "번역", "ترجمة",
)  # fmt: skip
_TRANSLATOR = "or|er|чик|ач"  # what makes a person of it
_OPENING_QUOTES = "\"'“«"
_OPENINGS = (
    "a", "certainly", "course", "here", "here's", "here’s", "in", "is", "of", "okay", "sure", "the", "this",
    "your",
)  # fmt: skip
"""With the language's name, the words that stand before the label word. A translation may begin with them as
well: it is held until its first word that is none of them."""
_AFTER = 40  # characters between the label word and the colon
_LABEL_CHARACTERS = 80
_LABEL_WORD = re.compile(rf"(?:{'|'.join(_WORDS)})(?!{_TRANSLATOR})")
_COLON = re.compile("[:：]")
_BEFORE_TEXT = re.compile(rf"^[\s{_DECORATION}]+")
_BETWEEN_WORDS = re.compile(r"[\s,*_`]+")
_NEVER_IN_A_LABEL = re.compile(r"[.?!;\n。？！]")


class SpokenAnswer:
    """Feed it the pieces of the answer; it gives what is to be said, on one line.

    What the phrase itself has is left: quotation marks when it begins with one, a colon when it holds one.
    ``complete`` becomes true at an empty line, after which models comment on what they did.
    """

    def __init__(self, phrase: str, language: str) -> None:
        self._labelled = ":" not in phrase  # a label may come
        self._openings = {*_OPENINGS, *language.lower().split()}
        named = rf"(?:in )?{re.escape(language.lower())}"
        self._region = re.compile(rf"{named} \([^)\n]*(?:\)[*_`]*)?")
        self._named = re.compile(rf"{named}(?: \([^)\n]*\))?[*_`]*")
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
        head = _bare(self._held)
        if not head:
            return False
        if self._labelled:
            colon = _COLON.search(head)
            if colon and self._is_label(head[: colon.start()]):
                head = _bare(head[colon.end() :])
                self._labelled = False
            elif not colon and not at_end and self._may_be_label(head):
                return False
        if self._quoted and head and head[0] in _QUOTES:
            self._closing, self._quoted, self._labelled = _QUOTES[head[0]], False, False
            head = _bare(head[1:])
        self._held, self._begun = head, bool(head)
        return self._begun

    def _is_label(self, head: str) -> bool:
        """Whether it is one where a colon follows: ``Translation``, ``Here is your Spanish translation``."""
        lower = _unquoted(head)
        return self._may_be_label(head) and bool(self._named.fullmatch(lower) or _LABEL_WORD.search(lower))

    def _may_be_label(self, head: str) -> bool:
        """Whether more may make a label of it; true of all that a label begins with."""
        if len(head) > _LABEL_CHARACTERS or _NEVER_IN_A_LABEL.search(head):
            return False
        lower = _unquoted(head)
        if self._region.fullmatch(lower):
            return True
        word = _LABEL_WORD.search(lower)
        *before, last = _BETWEEN_WORDS.split(lower[: word.start()] if word else lower)
        if not self._openings.issuperset(before):
            return False
        if word:
            return not last and len(lower) - word.end() <= _AFTER
        return any(start.startswith(last) for start in (*self._openings, *_WORDS))

    def _split(self) -> tuple[str, str]:
        """What can be said now, and what may be the end of the translation."""
        paragraph = re.search(r"\n[ \t]*\n", self._held)
        if paragraph:
            self._held = self._held[: paragraph.start()]
            return self.finish(), ""
        body = self._held.rstrip(f"{_TAIL} \t\r\n")
        return _one_line(body), self._held[len(body) :]


def _bare(text: str) -> str:
    return _BEFORE_TEXT.sub("", text)


def _unquoted(head: str) -> str:
    return head.lstrip(_OPENING_QUOTES).lower()


def _one_line(text: str) -> str:
    return re.sub(r"[ \t]*[\r\n]+[ \t]*", " ", text)
