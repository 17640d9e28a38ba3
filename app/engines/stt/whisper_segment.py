"""One segment of a leg as Whisper hears it: what to decode next, and what was heard so far. Pure.

Interims come from a window at the segment's end, which moves past the words that are settled. Speech beyond
half a minute, Whisper's longest, is decoded for good in parts while it goes on, each cut where it was
quietest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from app.engines.errors import EngineError
from app.engines.ports import EMPTY, LOST, UNCLEAR, RecognisedWord, RecognitionHints, Transcript
from app.engines.stt.agreement import Agreement
from telephony.media.frame import SAMPLE_RATE, Samples

LONGEST_SAMPLES = 30 * SAMPLE_RATE  # that Whisper hears at once
_EARLIEST_CUT_SAMPLES = 20 * SAMPLE_RATE
_CUT_SAMPLES = SAMPLE_RATE // 10  # of quiet to cut in
_UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})  # written without spaces between words


class Purpose(Enum):
    """What is decoded: the window of an interim, a part of a long segment, or the rest of a segment."""

    INTERIM = "interim"
    PART = "part"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Decoding:
    """Audio to decode, which begins at sample ``start`` of its segment, and what its caller may say."""

    purpose: Purpose
    samples: Samples
    start: int
    hints: RecognitionHints


@dataclass(frozen=True, slots=True)
class Decoded:
    """What was heard. Words keep the space before them; their times count from the audio's start.

    ``text`` is empty where there were no words, ``UNCLEAR`` where they are not to be believed.
    """

    text: str = ""
    words: tuple[RecognisedWord, ...] = ()
    confidence: float | None = None
    language: str | None = None


class Segment:
    """Audio of one segment and what is known of its words. Lengths are samples."""

    def __init__(self, interim: int, window: int, language: str, hints: RecognitionHints) -> None:
        self._interim, self._window, self._hints = interim, window, hints
        self._joint = "" if language in _UNSPACED else " "
        self._audio: list[Samples] = []
        self.size = 0
        self.finished = False
        self._parted = 0  # where the last part ends: what comes before it is decoded for good
        self._heard = 0  # size at the last interim
        self._parts: list[Decoded] = []
        self._agreement = Agreement()
        self._told = ""
        self._lost = False

    @property
    def due(self) -> bool:
        """Whether there is something to decode now."""
        return (
            self.finished
            or self.size - self._heard >= self._interim
            or self.size - self._parted > LONGEST_SAMPLES
        )

    @property
    def held(self) -> int:
        """Samples that are not decoded for good."""
        return self.size - self._parted

    def push(self, samples: Samples) -> None:
        """Take the next audio."""
        self._audio.append(samples)
        self.size += samples.size

    def next_job(self) -> Decoding | None:
        """What to decode now. ``None``: nothing is due, or, in a finished segment, nothing is left."""
        if self.held > LONGEST_SAMPLES:
            audio = self._since(self._parted)
            return self._decoding(Purpose.PART, audio[: _quietest(audio)], self._parted)
        if self.finished:
            if not self.held:
                return None
            return self._decoding(Purpose.FINAL, self._since(self._parted), self._parted)
        if not self.due:
            return None
        self._heard = self.size
        earliest = max(self._parted, self.size - self._window)
        start = self._agreement.slide(earliest) if earliest > self._parted else earliest
        return self._decoding(Purpose.INTERIM, self._since(start), start)

    def hear(self, decoding: Decoding, heard: Decoded | EngineError) -> Transcript | None:
        """Take what came of a decoding; gives the transcript to report, if any."""
        if decoding.purpose is Purpose.INTERIM:
            if self.finished or isinstance(heard, EngineError) or heard.text == UNCLEAR:
                return None
            self._agreement.hear(_moved(heard.words, decoding.start))
            return self._interim_transcript()
        if isinstance(heard, EngineError):
            self._lost = True
        else:
            self._parts.append(replace(heard, words=_moved(heard.words, decoding.start)))
        if decoding.purpose is Purpose.FINAL:
            return self.final()
        self._forget(decoding.start + decoding.samples.size)
        return None

    def final(self) -> Transcript:
        """All that was heard."""
        if self._lost:
            return LOST
        spoken = [part for part in self._parts if part.text]
        if not spoken:
            return EMPTY
        weights = [max(1, len(part.words)) for part in spoken]
        sure = sum((part.confidence or 0.0) * weight for part, weight in zip(spoken, weights, strict=True))
        return Transcript(
            self._joint.join(part.text for part in spoken),
            final=True,
            confidence=sure / sum(weights),
            words=tuple(
                replace(word, text=word.text.strip(), start=word.start, end=min(word.end, self.size))
                for part in spoken
                for word in part.words
            ),
            language=spoken[-1].language,
        )

    def _decoding(self, purpose: Purpose, samples: Samples, start: int) -> Decoding:
        return Decoding(purpose, samples, start, self._hints)

    def _interim_transcript(self) -> Transcript | None:
        texts = [*(part.text for part in self._parts), self._agreement.text]
        text = self._joint.join(text for text in texts if text)
        if not text or text == self._told:
            return None
        self._told = text
        return Transcript(text, final=False)

    def _since(self, start: int) -> Samples:
        """The audio from sample ``start`` of the segment on; that before the last part is not kept."""
        if len(self._audio) != 1:
            self._audio = [np.concatenate(self._audio)]
        return self._audio[0][start - self._parted :]

    def _forget(self, end: int) -> None:
        self._audio = [self._since(end)]
        self._parted = end
        self._agreement = Agreement()


def _moved(words: tuple[RecognisedWord, ...], by: int) -> tuple[RecognisedWord, ...]:
    return tuple(replace(word, start=word.start + by, end=word.end + by) for word in words)


def _quietest(audio: Samples) -> int:
    """Where to cut audio that is too long: the middle of the quietest 0.1 s of what may end a part."""
    frames = audio[_EARLIEST_CUT_SAMPLES : LONGEST_SAMPLES - LONGEST_SAMPLES % _CUT_SAMPLES]
    frames = frames[: frames.size - frames.size % _CUT_SAMPLES].reshape(-1, _CUT_SAMPLES)
    loudness = np.square(frames.astype(np.float32)).sum(axis=1)
    return _EARLIEST_CUT_SAMPLES + int(loudness.argmin()) * _CUT_SAMPLES + _CUT_SAMPLES // 2
