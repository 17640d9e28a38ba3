"""The telephone's keypad as input: keys to words of the caller's turn. Pure."""

from __future__ import annotations

from app.engines.ports import Expectation
from app.voice.profile import Keys
from app.voice.words import CallerWords


class Keypad:
    """Adds keys to the caller's words, where speech and keys may share one number."""

    def __init__(self, settings: Keys, words: CallerWords) -> None:
        self._settings = settings
        self._words = words

    def press(self, key: str, expected: Expectation | None) -> bool | None:
        """Take a key. True: the entry is complete; False: more may come; ``None``: the key means nothing."""
        settings, words = self._settings, self._words
        if not settings.enabled:
            return None
        if key == settings.end:
            return True if words.keys else None
        if key == settings.restart:
            begun = bool(words.keys)
            words.drop_keys()
            return False if begun else None
        words.press(key)
        return words.answers(expected)
