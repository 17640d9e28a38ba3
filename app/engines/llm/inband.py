"""What a model writes into its text and does not say: thoughts and tool calls between tags. Pure.

``<think> ... </think>`` is how reasoning models think; ``<tool_call> ... </tool_call>`` is how models trained
on the Hermes format call tools, where their server does not turn it into tool calls.
"""

from __future__ import annotations

_THOUGHTS = {"<think>": "</think>", "<thinking>": "</thinking>"}
_CALL, _CALL_END = "<tool_call>", "</tool_call>"
_OF_THOUGHTS = (*_THOUGHTS, *_THOUGHTS.values())
_TAGS = (*_OF_THOUGHTS, _CALL, _CALL_END)


class InbandFilter:
    """Feed it tokens; it gives what may be spoken. A tag may be cut anywhere.

    ``calls``: the texts of the tool calls so far.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._held = ""  # what may become a tag
        self._block = ""  # the tag of the block that is open
        self._inside = ""  # the text of an open tool call
        self._trim = False  # white space between a block and the first word
        self._spoke = False

    def feed(self, text: str) -> str:
        """The speakable part of what has come, without what may still become a tag."""
        self._held += text
        spoken: list[str] = []
        while self._held:
            start = self._held.find("<")
            if start < 0:
                spoken.append(self._take(len(self._held)))
                break
            spoken.append(self._take(start))
            tag = self._tag()
            if tag == "":
                break  # not enough has come to tell
            if tag is None:
                spoken.append(self._take(1))
                continue
            self._held = self._held[len(tag) :]
            self._cross(tag)
            self._trim = not self._spoke and not any(spoken)
        return self._trimmed("".join(spoken))

    def finish(self) -> str:
        """What was held back, when no more comes; a thought that never ended is not speech."""
        rest = self._take(len(self._held))
        if self._block == _CALL:
            self._cross(_CALL_END)
        return self._trimmed(rest)

    def _cross(self, tag: str) -> None:
        if tag == _CALL:
            self._block, self._inside = tag, ""
        elif tag in _THOUGHTS:
            self._block = tag
        else:
            if self._block == _CALL:
                self.calls.append(self._inside.strip())
            self._block = ""

    def _take(self, count: int) -> str:
        taken, self._held = self._held[:count], self._held[count:]
        if self._block == _CALL:
            self._inside += taken
        return "" if self._block else taken

    def _tag(self) -> str | None:
        """The tag that ``_held`` begins with; empty: it may become one; ``None``: it is none."""
        lower = self._held.lower()
        known = {"": _TAGS, _CALL: (_CALL_END,)}.get(self._block, _OF_THOUGHTS)
        for tag in known:
            if lower.startswith(tag):
                return tag
        return "" if any(tag.startswith(lower) for tag in known) else None

    def _trimmed(self, text: str) -> str:
        if self._trim:
            text = text.lstrip()
            self._trim = not text
        self._spoke = self._spoke or bool(text)
        return text
