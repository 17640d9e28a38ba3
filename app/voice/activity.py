"""Voice activity windows to speech onsets, ends and barge-ins, on the leg's media clock.

Pure. Speech begins with a window at or above the threshold; it ends once no such window came for
``pause_seconds``. Windows between the threshold and ``_RELEASE`` below it prolong nothing: the model
stays above that for up to 100 ms after the last sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.engines.ports import VoiceActivity
from app.voice.profile import TurnTaking
from telephony.media.frame import SAMPLE_RATE


class Activity(StrEnum):
    """What a window changed."""

    STARTED = "started"
    SUSTAINED = "sustained"  # speech has lasted ``barge_in_seconds``; once a stretch
    STOPPED = "stopped"


@dataclass(slots=True)
class ActivityGate:
    """One leg's speech. Positions are samples of the media clock."""

    timing: TurnTaking
    speaking: bool = False
    onset: int = 0  # where the current or last speech began
    last_speech: int = 0  # where the last window with speech ended
    _sustained: bool = False
    _previous_end: int = 0

    def update(self, window: VoiceActivity) -> Activity | None:
        """Take the next window."""
        start, self._previous_end = self._previous_end, window.end
        if window.probability >= self.timing.vad_threshold:
            return self._speech(start, window.end)
        if self.speaking and window.end - self.last_speech >= self.timing.pause_seconds * SAMPLE_RATE:
            self.speaking = False
            return Activity.STOPPED
        return None

    def _speech(self, start: int, end: int) -> Activity | None:
        self.last_speech = end
        if not self.speaking:
            self.speaking, self.onset, self._sustained = True, start, False
            return Activity.STARTED
        window = end - start
        # To the nearest window: waiting for the next one would add 32 ms to most barge-ins.
        if (
            not self._sustained
            and end - self.onset + window // 2 >= self.timing.barge_in_seconds * SAMPLE_RATE
        ):
            self._sustained = True
            return Activity.SUSTAINED
        return None
