"""The ``timed`` synthesiser: no inference, a tone at exact times (bench profile)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator

import numpy as np

from app.engines.ports import SpeechChunk, Voice, VoiceSpec, WordMark
from app.engines.timing import wait_until
from config.engines import TimedSettings
from telephony.media.frame import SAMPLE_RATE, Samples

_TONE_HZ = 440
_AMPLITUDE = 4634  # a sine of -20 dBFS
_PERIOD = 200  # samples: 11 whole cycles of 440 Hz at 8 kHz
_WORD = re.compile(r"\S+")


def _tone(samples: int) -> Samples:
    """A tone that joins itself without a click wherever ``_PERIOD`` divides the cut; read-only."""
    periods = -(-samples // _PERIOD) + 1
    phase = 2 * np.pi * _TONE_HZ / SAMPLE_RATE * np.arange(_PERIOD)
    tone = np.tile(np.rint(_AMPLITUDE * np.sin(phase)).astype(np.int16), periods)
    tone.flags.writeable = False
    return tone


class TimedSynthesiser:
    """Speaks every phrase as a tone of ``seconds_per_character``.

    The first piece comes ``first_audio_after`` seconds after ``speak`` was called, then pieces of
    ``piece_seconds`` at ``real_time_factor`` times real time, on that same clock. Marks are exact.
    """

    name = "timed"

    def __init__(self, settings: TimedSettings) -> None:
        self._first_after = settings.first_audio_after
        self._piece = max(1, round(settings.piece_seconds * SAMPLE_RATE))
        self._every = settings.piece_seconds / settings.real_time_factor
        self._samples_a_character = settings.seconds_per_character * SAMPLE_RATE
        self._sound = _tone(self._piece)

    async def start(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to free."""

    async def voices(self) -> tuple[Voice, ...]:
        """The one tone, of any language."""
        return (Voice("tone", "en-US", "neutral"),)

    def speak(self, phrase: str, voice: VoiceSpec) -> AsyncGenerator[SpeechChunk, None]:
        """The phrase as a tone; its clock starts now. An empty phrase has no audio."""
        loop = asyncio.get_running_loop()
        return self._speak(phrase, loop, loop.time() + self._first_after)

    async def _speak(
        self, phrase: str, loop: asyncio.AbstractEventLoop, first: float
    ) -> AsyncGenerator[SpeechChunk, None]:
        total = round(len(phrase) * self._samples_a_character)
        marks = [
            WordMark(word.start(), round(word.start() * self._samples_a_character))
            for word in _WORD.finditer(phrase)
        ]
        for index, begin in enumerate(range(0, total, self._piece)):
            await wait_until(loop, first + index * self._every)
            end = min(begin + self._piece, total)
            offset = begin % _PERIOD
            words = tuple(mark for mark in marks if begin <= mark.sample < end)
            yield SpeechChunk(self._sound[offset : offset + end - begin], words)
