"""A reply's audio on its way to the leg: joined, paused and ducked without a click. Pure.

Phrases are joined by a crossfade of ``FADE`` samples, and the same ramp ends and begins what a pause cuts
in two. To have something to fade, the last ``FADE`` samples always stay back until more comes, or until
``flush``. Positions are samples of the reply's audio as it is sent.
"""

from __future__ import annotations

import numpy as np

from telephony.media.frame import FRAME_SAMPLES, SAMPLE_RATE, Samples, silence

FADE = SAMPLE_RATE // 50
"""Samples of a fade: 20 ms."""

_UP = np.linspace(0.0, 1.0, FADE, dtype=np.float32)
_GAIN_STEP = 1.0 / (SAMPLE_RATE // 20)  # a change of gain by 1 takes 50 ms


class Feed:
    """One reply's audio. ``made`` counts the samples that came so far, joins deducted."""

    def __init__(self) -> None:
        self.made = 0
        self._ready = silence(0)  # may be sent, but for the last FADE samples
        self._joining = False  # what comes next begins a phrase, to be laid over the end of the one before
        self._head = silence(0)  # of that phrase, while it is shorter than a fade
        self._fade_in = False
        self._gain = self._target = 1.0

    def add(self, samples: Samples) -> None:
        """Take more audio."""
        if self._joining:
            self._head = np.concatenate((self._head, samples))
            if len(self._head) < FADE:
                return
            samples, self._head, self._joining = self._head, silence(0), False
            if len(self._ready) >= FADE:
                self._join(samples)
                return
        self.made += len(samples)
        self._ready = np.concatenate((self._ready, samples)) if len(self._ready) else samples

    def end_phrase(self) -> None:
        """What comes next belongs to another phrase."""
        if self._joining and len(self._head):
            head, self._head = self._head, silence(0)
            self.made += len(head)
            self._ready = np.concatenate((self._ready, head))
        self._joining = True

    @property
    def ready(self) -> int:
        """Samples that can be taken now."""
        return max(0, len(self._ready) - FADE)

    @property
    def waiting(self) -> bool:
        """Some audio stays back."""
        return len(self._ready) > 0

    def take(self, most: int) -> Samples:
        """Whole frames, at most ``most`` samples."""
        count = min(most, self.ready) // FRAME_SAMPLES * FRAME_SAMPLES
        taken, self._ready = self._ready[:count], self._ready[count:]
        return self._shaped(taken)

    def flush(self) -> Samples:
        """All that stays back, faded out and filled up to whole frames: nothing follows for now."""
        rest, self._ready = self._ready, silence(0)
        return self._closed(rest)

    def pause(self) -> Samples:
        """The next frame, faded out, after which silence does no harm. Empty when nothing waits."""
        count = min(FADE, len(self._ready))
        rest, self._ready = self._ready[:count], self._ready[count:]
        return self._closed(rest)

    def duck(self, gain: float) -> None:
        """From now on multiply by ``gain``, 0 to 1, reached by a ramp."""
        self._target = gain

    def _join(self, samples: Samples) -> None:
        over = self._ready[-FADE:] * (1.0 - _UP) + samples[:FADE] * _UP
        mixed = np.clip(np.rint(over), -32768, 32767).astype(np.int16)
        self.made += len(samples) - FADE
        self._ready = np.concatenate((self._ready[:-FADE], mixed, samples[FADE:]))

    def _closed(self, rest: Samples) -> Samples:
        if not len(rest):
            return rest
        shaped = self._shaped(rest)
        fade = min(FADE, len(shaped))
        ramp = _UP[::-1][-fade:] if fade == FADE else np.linspace(1.0, 0.0, fade, dtype=np.float32)
        shaped = np.concatenate((shaped[:-fade], np.rint(shaped[-fade:] * ramp).astype(np.int16)))
        self._fade_in = True
        missing = -len(shaped) % FRAME_SAMPLES
        self.made += missing
        return np.concatenate((shaped, silence(missing)))

    def _shaped(self, samples: Samples) -> Samples:
        """With the gain of the moment, and the fade after a gap."""
        if not len(samples) or (self._gain == self._target == 1.0 and not self._fade_in):
            return samples
        gains = np.full(len(samples), self._target, dtype=np.float32)
        steps = round(abs(self._target - self._gain) / _GAIN_STEP)
        if steps:
            ramp = np.linspace(self._gain, self._target, steps + 1, dtype=np.float32)[1:]
            count = min(len(samples), steps)
            gains[:count] = ramp[:count]
            gains[count:] = ramp[count - 1] if count < steps else self._target
        self._gain = float(gains[-1])
        if self._fade_in:
            count = min(FADE, len(samples))
            gains[:count] *= _UP[:count]
            self._fade_in = False
        shaped: Samples = np.rint(samples * gains).astype(np.int16)
        return shaped
