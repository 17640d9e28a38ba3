"""What is translated: a phrase without what cannot be said, cut where a translation may be cut. Pure."""

from __future__ import annotations

import re
import unicodedata

_SENTENCE_END = re.compile(r"[.!?…。！？](?=\s|$)|[。！？]")
_SPACES = {"Cc", "Co", "Cn", "Cs", "Zl", "Zp", "Zs"}
"""Unicode categories of controls, half characters and spaces: each becomes a space."""
_JOINERS = "\u200c\u200d"  # invisible, but part of how Persian and Indian languages are written


def clean(text: str) -> str:
    """The text on one line, without controls; nothing when it holds no letter and no digit."""
    kept = "".join(map(_kept, text))
    return " ".join(kept.split()) if any(char.isalnum() for char in kept) else ""


def pieces(text: str, characters: int) -> list[str]:
    """A clean text in pieces of at most so many characters: sentences, else words, else wherever it must."""
    found: list[str] = []
    while len(text) > characters:
        cut = _cut(text, characters)
        found.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [*found, text] if text else found


def _kept(char: str) -> str:
    if char.isascii():
        return char if char.isprintable() else " "
    category = unicodedata.category(char)
    if category == "Cf":
        return char if char in _JOINERS else ""
    return " " if category in _SPACES else char


def _cut(text: str, characters: int) -> int:
    head = text[: characters + 1]
    ends = [match.end() for match in _SENTENCE_END.finditer(head) if match.end() <= characters]
    if ends:
        return ends[-1]
    space = head.rfind(" ")
    return space if space > 0 else characters
