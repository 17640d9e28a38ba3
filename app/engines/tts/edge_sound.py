"""From what the edge service sends to a phrase's pieces: MP3 decoded, words marked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from app.engines.errors import EngineError
from app.engines.ports import SpeechChunk, WordMark
from app.engines.tts.edge_messages import NAME
from app.engines.tts.mp3 import SLICE_BYTES, Mp3Decoder
from app.engines.tts.spoken_words import SpokenWords
from telephony.media.frame import SAMPLE_RATE, Samples

_CODEC_SECONDS = 1105 / 24_000  # the delay of an MP3 encoder (576 samples) and of the decoder (529)


class EdgeSound:
    """One phrase's audio and marks. ``samples``: how many have left here."""

    def __init__(self, phrase: str) -> None:
        self.samples = 0
        self._words = SpokenWords(phrase)
        self._marks: deque[WordMark] = deque()  # of words whose audio has not left
        self.begin()

    def begin(self) -> None:
        """The audio of another request begins: a stream of its own, in whose time its words are."""
        self._decoder = Mp3Decoder(_CODEC_SECONDS)
        self._began = self.samples

    def word(self, text: str, seconds: float) -> None:
        """A word begins at this time of its request. One that is not in the phrase is not marked."""
        char = self._words.find(text)
        if char is not None:
            after = self._marks[-1].sample if self._marks else 0
            self._marks.append(WordMark(char, max(after, self._began + round(seconds * SAMPLE_RATE))))

    def audio(self, data: bytes) -> Iterator[SpeechChunk]:
        """The pieces that this completes, each decoded within a millisecond. Raises ``EngineError``."""
        for begin in range(0, len(data), SLICE_BYTES):
            try:
                samples = self._decoder.push(data[begin : begin + SLICE_BYTES])
            except ValueError as error:
                raise _no_mp3(error) from None
            if samples.size:
                yield self._chunk(samples)

    def finish(self) -> Iterator[SpeechChunk]:
        """The last piece, with what words are left. Raises ``EngineError``."""
        try:
            samples = self._decoder.finish()
        except ValueError as error:
            raise _no_mp3(error) from None
        if samples.size:
            last = self.samples + samples.size - 1
            self._marks = deque(WordMark(mark.char, min(mark.sample, last)) for mark in self._marks)
            yield self._chunk(samples)
        self._marks.clear()

    def _chunk(self, samples: Samples) -> SpeechChunk:
        begin, self.samples = self.samples, self.samples + samples.size
        marks: list[WordMark] = []
        while self._marks and self._marks[0].sample < self.samples:
            mark = self._marks.popleft()
            marks.append(WordMark(mark.char, max(mark.sample, begin)))
        return SpeechChunk(samples, tuple(marks))


def _no_mp3(error: ValueError) -> EngineError:
    return EngineError(NAME, f"the service sent audio that cannot be decoded: {error}")
