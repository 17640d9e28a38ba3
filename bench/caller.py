"""A caller on a recogniser: what was said into its stream, and what was heard of it."""

from __future__ import annotations

import asyncio
import time

from prometheus_client import REGISTRY

from app.engines.ports import Recogniser, RecogniserStream, RecognitionHints, Transcript
from telephony.media.frame import FRAME_SAMPLES, Samples

_DROPPED = "trunkline_recogniser_audio_dropped_seconds_total"
_PATIENCE = 15.0  # seconds for a final; a machine that others use too


def dropped_seconds(engine: Recogniser) -> float:
    """Audio that engines of this name never heard, in this process."""
    return REGISTRY.get_sample_value(_DROPPED, {"engine": engine.name}) or 0.0


class Caller:
    """Transcripts in ``heard``, and by the monotonic clock when each came in ``heard_at``."""

    def __init__(self, engine: Recogniser, hints: RecognitionHints | None = None) -> None:
        self.heard: list[Transcript] = []
        self.heard_at: list[float] = []
        self._answered = 0  # finals that were waited for
        self._news = asyncio.Event()
        self.stream: RecogniserStream = engine.open(hints or RecognitionHints(), self._sink)

    @property
    def finals(self) -> list[Transcript]:
        """Those of ``heard`` that are final."""
        return [transcript for transcript in self.heard if transcript.final]

    @property
    def interims(self) -> list[str]:
        """The texts of the others."""
        return [transcript.text for transcript in self.heard if not transcript.final]

    def speak(self, samples: Samples) -> None:
        """A segment, at once."""
        self._push(samples)
        self.stream.finish_segment()

    async def say(self, samples: Samples, frame_seconds: float = 0.0) -> Transcript:
        """A segment and its final; after each frame so many seconds of real time."""
        for start in range(0, samples.size, FRAME_SAMPLES):
            self.stream.push(samples[start : start + FRAME_SAMPLES])
            if frame_seconds:
                await asyncio.sleep(frame_seconds)
        self.stream.finish_segment()
        return await self.next_final()

    async def next_final(self) -> Transcript:
        """The first final that was not waited for yet."""
        self._answered += 1
        return (await self.until(self._answered))[self._answered - 1]

    async def until(self, count: int) -> list[Transcript]:
        """All finals, once there are so many."""
        async with asyncio.timeout(_PATIENCE):
            while len(self.finals) < count:
                self._news.clear()
                await self._news.wait()
        return self.finals

    def _push(self, samples: Samples, size: int = FRAME_SAMPLES) -> None:
        for start in range(0, samples.size, size):
            self.stream.push(samples[start : start + size])

    def _sink(self, transcript: Transcript) -> None:
        self.heard.append(transcript)
        self.heard_at.append(time.monotonic())
        self._news.set()
