"""Keeps a model's thoughts out of its speech: ``<think> ... </think>`` in a stream of tokens. Pure."""

from __future__ import annotations

_OPEN = ("<think>", "<thinking>")
_CLOSE = ("</think>", "</thinking>")


class ThinkFilter:
    """Feed it tokens; it gives what may be spoken. A tag may be cut anywhere."""

    def __init__(self) -> None:
        self._held = ""  # what may become a tag
        self._thinking = False
        self._trim = False  # white space between a thought and the first word
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
            self._thinking = tag in _OPEN
            self._trim = not self._spoke and not any(spoken)
        return self._trimmed("".join(spoken))

    def finish(self) -> str:
        """What was held back, when no more comes; a thought that never ended is not speech."""
        rest, self._held = self._held, ""
        return "" if self._thinking else self._trimmed(rest)

    def _take(self, count: int) -> str:
        taken, self._held = self._held[:count], self._held[count:]
        return "" if self._thinking else taken

    def _tag(self) -> str | None:
        """The tag that ``_held`` begins with; empty: it may become one; ``None``: it is none."""
        lower = self._held.lower()
        for tag in (*_OPEN, *_CLOSE):
            if lower.startswith(tag):
                return tag
        return "" if any(tag.startswith(lower) for tag in (*_OPEN, *_CLOSE)) else None

    def _trimmed(self, text: str) -> str:
        if self._trim:
            text = text.lstrip()
            self._trim = not text
        self._spoke = self._spoke or bool(text)
        return text
