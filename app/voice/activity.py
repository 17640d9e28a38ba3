"""Voice activity windows to speech onsets and ends, and the onsets of sounds, on the leg's media clock.

Pure. Speech begins with a window at or above the threshold; it ends once no such window came for
``pause_seconds``. Windows below the threshold prolong nothing: the model stays near it for up to 100 ms
after the last sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from telephony.media.frame import SAMPLE_RATE, Samples
from telephony.media.level import AUDIBLE


class Activity(StrEnum):
    """What a window changed."""

    STARTED = "started"
    STOPPED = "stopped"


@dataclass(slots=True)
class ActivityGate:
    """One leg's speech. Positions are samples of the media clock."""

    pause_seconds: float
    speaking: bool = False
    onset: int = 0  # where the current or last speech began
    last_speech: int = 0  # where the last window with speech ended
    _previous_end: int = 0

    def update(self, end: int, *, speech: bool) -> Activity | None:
        """Take the next window, which ends at sample ``end``; ``speech``: its probability is high enough."""
        start, self._previous_end = self._previous_end, end
        if speech:
            self.last_speech = end
            if not self.speaking:
                self.speaking, self.onset = True, start
                return Activity.STARTED
        elif self.speaking and end - self.last_speech >= self.pause_seconds * SAMPLE_RATE:
            self.speaking = False
            return Activity.STOPPED
        return None


class SoundOnset:
    """Says within two frames that something is heard, whatever it is: well before a detector knows speech.

    Loud is what exceeds the line's own noise by 10 dB and could be heard at all. A new sound needs
    ``_QUIET_FRAMES`` of quiet before it. 2 us a frame.
    """

    _LOUD_FRAMES = 2
    _QUIET_FRAMES = 10
    _ABOVE_NOISE = 3.2

    def __init__(self) -> None:
        self.began = 0  # the sample at which the latest sound began
        self._noise = float(AUDIBLE) / self._ABOVE_NOISE  # peak of quiet frames, averaged over 0.6 s
        self._loud = 0
        self._quiet = self._QUIET_FRAMES

    def update(self, samples: Samples, at: int) -> bool:
        """Take the next frame, which begins at sample ``at``; whether a sound has just begun."""
        peak = max(int(samples.max()), -int(samples.min())) if len(samples) else 0
        if peak < max(AUDIBLE, self._ABOVE_NOISE * self._noise):
            self._noise += (peak - self._noise) / 32
            self._loud = 0
            self._quiet += 1
            return False
        if self._quiet >= self._QUIET_FRAMES and self._loud == 0:
            self.began = at
        self._loud += 1
        if self._loud < self._LOUD_FRAMES:
            return False
        begun = self._quiet >= self._QUIET_FRAMES
        self._quiet = 0
        self._noise += (peak - self._noise) / 1024  # a noise that never ends becomes the line's own
        return begun
