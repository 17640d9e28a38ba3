"""The ``sherpa_onnx`` recogniser: streaming models of sherpa-onnx (Apache-2.0), in a thread of this process.

One thread decodes the streams of all calls together, a second of audio of each at most in a turn. An
agent's phrases are hotwords, for transducers whose folder holds ``bpe.vocab`` or that write Chinese: they are
searched with a beam, the others greedily. A word begins where the model decided on it, which may be late, and
ends where the next one begins, or after 0.4 s. ``expect`` changes nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.engines.ports import RecognisedWord, RecogniserStream, RecognitionHints, Transcript
from app.engines.stt.decoding_pool import DecodingPool
from app.engines.stt.incremental import IncrementalRecogniser, Piece
from app.engines.stt.sherpa_loading import NAME, SherpaModel, load
from config.engines import SherpaOnnxSettings
from telephony.media.frame import SAMPLE_RATE, Samples
from telephony.media.resample import Resampler

_TOGETHER = 64  # streams
_TAIL_SECONDS = 0.6  # of silence, for models that look ahead
_WORD_SAMPLES = round(0.4 * SAMPLE_RATE)
_HOTWORDS = 200
_CHINESE = ord("一")


class SherpaOnnxRecogniser(IncrementalRecogniser["_Session"]):
    """Recognises the language of its model."""

    name = NAME

    def __init__(self, settings: SherpaOnnxSettings, models: Path) -> None:
        super().__init__(NAME)
        self._settings, self._models = settings, models

    async def start(self) -> None:
        """Try the model in a process of its own, and load it. Raises ``EngineUnavailable``."""
        if self._pool is not None:
            return
        model = await asyncio.get_running_loop().run_in_executor(None, load, self._settings, self._models)
        self._pool = DecodingPool(NAME, 1, _Decoder(model).decode, _TOGETHER, repeatable=False)

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> RecogniserStream:
        """A stream for one leg. Raises ``EngineError`` where the engine was not started."""
        return self._hearing(lambda _: _Session(hints), sink)


@dataclass(slots=True)
class _Session:
    """A segment's stream in the library, made when its first audio is decoded."""

    hints: RecognitionHints
    stream: Any = None
    resampler: Resampler | None = None


class _Decoder:
    """What runs in the thread."""

    def __init__(self, model: SherpaModel) -> None:
        self._model = model

    def decode(self, pieces: Sequence[Piece[_Session]]) -> list[Transcript]:
        """Hear these pieces, of as many streams; gives what each segment says so far."""
        for piece in pieces:
            self._accept(piece)
        self._model.decode([piece.session.stream for piece in pieces])
        return [self._transcript(piece) for piece in pieces]

    def _accept(self, piece: Piece[_Session]) -> None:
        session, rate = piece.session, self._model.rate
        if session.stream is None or session.resampler is None:
            hotwords = self._hotwords(session.hints)
            recogniser = self._model.recogniser
            session.stream = recogniser.create_stream(hotwords) if hotwords else recogniser.create_stream()
            session.resampler = Resampler(SAMPLE_RATE, rate)  # the library's own says so on every stream
        session.stream.accept_waveform(rate, session.resampler.push(_floats(piece.samples)))
        if piece.last:
            tail = np.zeros(round(_TAIL_SECONDS * SAMPLE_RATE), dtype=np.float32)
            session.stream.accept_waveform(rate, session.resampler.push(tail))
            session.stream.input_finished()

    def _hotwords(self, hints: RecognitionHints) -> str:
        if not self._model.takes_hotwords:
            return ""
        phrases = [
            phrase.upper() if self._model.files.upper else phrase
            for phrase in hints.phrases
            if all(character.isalpha() or character in " '" for character in phrase)
        ]
        return "/".join(phrases[:_HOTWORDS])

    def _transcript(self, piece: Piece[_Session]) -> Transcript:
        result = self._model.recogniser.get_result_all(piece.session.stream)
        if piece.last:
            piece.session.stream = None
        text = self._cased(str(result.text).strip())
        if not piece.last or not text:
            return Transcript(text, final=piece.last)
        sure = [math.exp(min(0.0, value)) for value in result.ys_probs]
        return Transcript(
            text,
            final=True,
            confidence=sum(sure) / len(sure) if sure else None,
            words=self._words(result.tokens, result.timestamps, sure),
        )

    def _words(
        self, tokens: list[str], seconds: list[float], sure: list[float]
    ) -> tuple[RecognisedWord, ...]:
        """Tokens put together into words; a token that begins one has a space before it, or is Chinese."""
        words: list[RecognisedWord] = []
        for index, (token, second) in enumerate(zip(tokens, seconds, strict=False)):
            at = round(second * SAMPLE_RATE)
            certain = sure[index] if index < len(sure) else None
            if words and not token.startswith((" ", "▁")) and ord(token[:1] or " ") < _CHINESE:
                last = words.pop()
                least = min(certain, last.confidence) if certain is not None and last.confidence else certain
                words.append(RecognisedWord(last.text + token, last.start, at + _WORD_SAMPLES, least))
                continue
            if words and words[-1].end > at:
                last = words.pop()
                words.append(RecognisedWord(last.text, last.start, at, last.confidence))
            words.append(RecognisedWord(token.lstrip(" ▁"), at, at + _WORD_SAMPLES, certain))
        return tuple(RecognisedWord(self._cased(w.text), w.start, w.end, w.confidence) for w in words)

    def _cased(self, text: str) -> str:
        return text.lower() if self._model.files.upper else text


def _floats(samples: Samples) -> np.typing.NDArray[np.float32]:
    return samples.astype(np.float32) * np.float32(1 / 32768)
