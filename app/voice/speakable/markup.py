"""Markdown, HTML and emoji: what is written to be seen, taken out of what is spoken. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from app.voice.speakable.spoken import Edit, Spoken, rewritten

_BLOCKS = re.compile(
    r"(?P<fence>^[ \t]*(?P<mark>```|~~~)[^`\n]*(?:\n.*?(?:^[ \t]*(?P=mark)`*[ \t]*$|\Z)|\Z))"
    r"|(?P<comment><!--.*?(?:-->|\Z))"
    r"|(?P<code>[ \t]?(?P<ticks>`+)(?P<code_text>[^`]+)(?P=ticks))"
    r"|(?P<link>!?\[(?P<label>[^\[\]]*)\]\((?:[^()\s]|\([^()\s]*\))*(?:[ \t]+[\"'][^\"'\n]*[\"'])?\))"
    r"|(?P<address><(?P<url>(?:https?://|mailto:)[^\s<>]+)>)"
    r"|(?P<tag></?(?P<tag_name>[a-zA-Z][a-zA-Z0-9]*)(?:\s[^<>]*)?/?>)",
    re.MULTILINE | re.DOTALL,
)
_PICTURES = r"[\U0001f000-\U0001faff\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff]"
# ``line``: a rule, or the second row of a table.
_INLINE = re.compile(
    r"(?P<line>^[ \t]*(?:(?:[-*_=][ \t]*){3,}|[|:\-+ \t]*-{2,}[|:\-+ \t]*)$)"
    r"|(?P<head>^[ \t]*(?:(?:\#{1,6}|>+|[-*+•‣◦])[ \t]+(?:\[[ xX]\][ \t]+)?)+)"
    r"|(?P<edge>^[ \t]*\|[ \t]*|[ \t]*\|[ \t]*$)"
    r"|(?P<cell>[ \t]+\|[ \t]+)"
    r"|(?P<stress>\*{2,}|~~|(?<![\w*])\*(?=[^\s*])|(?<=[^\s*])\*(?![\w*])"
    r"|(?<!\w)_{1,3}(?=\w)|(?<=[^\s_])_{1,3}(?!\w))"
    r"|(?P<tick>`+)"
    r"|(?P<entity>&(?:\#[0-9]{1,7}|\#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});)"
    r"|(?P<escape>\\(?P<escaped>[\\`*_{}\[\]()#+\-.!|~>]))"
    r"|(?P<keycap>(?<=[0-9#*])\ufe0f?\u20e3)"
    rf"|(?P<picture>[ \t]?(?:{_PICTURES}[\ufe0e\ufe0f\u200d\U000e0020-\U000e007f]*)+)"
    r"|(?P<smiley>(?:^|(?<=\s))[:;]-?[)(DP](?=\s|$))",
    re.MULTILINE,
)
_UNTIDY = re.compile(r"^\s+|\s+$|(?<=\s)[ \t]+|[ \t]+(?=[,.](?:\s|$))")
_PLAIN = re.compile(r"[^\W_][^\W_ .,:'’-]*(?:[ .,:'’-]+[^\W_]+)*")
_INLINE_TAGS = frozenset(
    {"a", "abbr", "b", "code", "em", "font", "i", "kbd", "mark", "small", "span", "strong", "sub", "sup", "u"}
)


def without_markup(spoken: Spoken) -> Spoken:
    """The text as someone would read it out: code and emoji left out, links and tables by their words."""
    bare = rewritten(spoken, _block_edits(spoken.text))
    bare = rewritten(bare, _inline_edits(bare.text))
    if bare is spoken:
        return spoken
    return rewritten(bare, (Edit(match.start(), match.end(), "") for match in _UNTIDY.finditer(bare.text)))


def _block_edits(text: str) -> Iterator[Edit]:
    for match in _BLOCKS.finditer(text):
        begin, end = match.span()
        kept = ""
        if match["code"] is not None and _PLAIN.fullmatch(match["code_text"]):
            kept = "code_text"
            begin = match.start("ticks")
        elif match["link"] is not None:
            kept = "label"
        elif match["address"] is not None:
            kept = "url"
        if kept:
            yield Edit(begin, match.start(kept), "")
            yield Edit(match.end(kept), end, "")
        else:
            parts = match["tag"] is not None and match["tag_name"].lower() not in _INLINE_TAGS
            yield Edit(begin, end, " " if parts else "")


def _inline_edits(text: str) -> Iterator[Edit]:
    for match in _INLINE.finditer(text):
        replacement = ""
        if match["cell"] is not None:
            replacement = ", "
        elif match["entity"] is not None:
            replacement = html.unescape(match["entity"])
        elif match["escape"] is not None:
            replacement = match["escaped"]
        yield Edit(match.start(), match.end(), replacement)
