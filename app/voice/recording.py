"""What a conversation does about its recording: announces it, heeds a refusal, pauses it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.voice.language import normalise
from app.voice.ports import RecordingControl
from app.voice.profile import Recording
from app.voice.transcript import Turn

Detail = dict[str, str | int | float | bool]


class CallRecording:
    """One call's; without ``control`` the call is not recorded, and all of this does nothing.

    Consent: the sentence is said before the greeting and, until it was heard to its end, before each reply.
    The first thing that the caller says or presses after it may be a refusal, as the whole of it. Where
    consent is required nothing is recorded before the sentence was heard; otherwise everything is, the
    sentence too.
    """

    def __init__(
        self, settings: Recording, control: RecordingControl | None, note: Callable[[str, Detail], None]
    ) -> None:
        self._settings = settings
        self._control = control
        self._note = note
        self._refusals = {normalise(phrase) for phrase in settings.refuse_phrases}
        self._pause_words = tuple(normalise(phrase) for phrase in settings.pause_words)
        self._to_announce = control is not None and bool(settings.consent)
        self._may_refuse = False
        self._by_words = False  # the pause is due to what the agent said
        self._end_of_pause: asyncio.TimerHandle | None = None
        if control is not None and not settings.consent_required:
            control.begin()

    # Consent

    @property
    def announcement(self) -> str:
        """The sentence, while it is still to be heard; else empty."""
        return self._settings.consent if self._to_announce else ""

    @property
    def refused(self) -> str:
        """What the agent answers to a refusal."""
        return self._settings.refused

    def before(self, greeting: str) -> str:
        """The greeting, with what must be said before it."""
        return f"{self.announcement} {greeting}".strip()

    def turn_over(self, turn: Turn) -> None:
        """A reply is over, and what was heard of it is known."""
        if self._to_announce and self._heard(turn):
            self._to_announce = False
            self._may_refuse = True
            self._note("recording_announced", {})
            if self._control is not None:
                self._control.begin()
        self._heed_words(turn.heard_text)

    def _heard(self, turn: Turn) -> bool:
        """Whether the whole announcement was: at the beginning of the greeting, or ahead of an answer."""
        sentence = self._settings.consent
        if turn.reply_text.startswith(sentence):
            return turn.heard_chars >= len(sentence)
        return bool(turn.caller_text) and not turn.interrupted and turn.heard_chars > 0

    def is_refused_by(self, words: str) -> bool:
        """The caller has said this: whether it refuses the recording, which is gone then."""
        if not (self._may_refuse or self._to_announce) or not words:
            return False
        self._may_refuse = False
        return normalise(words) in self._refusals and self._refuse()

    def is_refused_by_key(self, key: str) -> bool:
        """The caller has pressed this: the same."""
        asked = self._may_refuse or self._to_announce
        return asked and key == self._settings.refuse_key and self._refuse()

    def _refuse(self) -> bool:
        self._to_announce = self._may_refuse = False
        self._stop_timer()
        if self._control is not None:
            self._control.refuse()
            self._note("recording_refused", {})
        self._control = None
        return True

    # Pauses

    def pause(self) -> bool:
        """Keep nothing until ``resume``, or for the longest pause. False where nothing is recorded."""
        self._by_words = False
        return self._pause()

    def resume(self) -> bool:
        """Go on. False where nothing is recorded."""
        self._stop_timer()
        self._by_words = False
        if self._control is None:
            return False
        self._control.resume()
        self._note("recording_resumed", {})
        return True

    def close(self) -> None:
        """The call is over."""
        self._stop_timer()

    def _pause(self) -> bool:
        if self._control is None:
            return False
        self._stop_timer()
        self._control.pause()
        self._note("recording_paused", {})
        self._end_of_pause = asyncio.get_running_loop().call_later(self._settings.pause_seconds, self.resume)
        return True

    def _heed_words(self, said: str) -> None:
        if not self._pause_words:
            return
        words = f" {normalise(said)} "
        if any(f" {phrase} " in words for phrase in self._pause_words):
            self._by_words = self._pause()
        elif self._by_words:
            self.resume()

    def _stop_timer(self) -> None:
        if self._end_of_pause is not None:
            self._end_of_pause.cancel()
            self._end_of_pause = None
