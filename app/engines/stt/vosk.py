"""The ``vosk`` recogniser: Kaldi models, in threads of this process (Vosk, Apache-2.0).

Callers are heard freely: a grammar would hear nothing but its own words, so an agent's phrases make none.
While digits are expected, English models with a dynamic graph (the small ones) listen for digits, for the
agent's phrases and for ``[unk]``, which is anything else.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from app.engines.languages import root
from app.engines.ports import (
    UNCLEAR,
    Expectation,
    RecognisedWord,
    RecogniserStream,
    RecognitionHints,
    Transcript,
)
from app.engines.stt.decoding_pool import DecodingPool
from app.engines.stt.domain import DIGIT_WORDS, DOUBLE, phrase_words
from app.engines.stt.incremental import IncrementalRecogniser, Piece
from app.engines.stt.vosk_loading import NAME, VoskModel, load
from config.engines import VoskSettings
from telephony.media.frame import SAMPLE_RATE
from telephony.media.resample import Resampler

_UNKNOWN = "[unk]"
_NO_WORDS = ("[", "<")  # with which models mark noise, laughter and what they do not know
_PHRASES = 200


class VoskRecogniser(IncrementalRecogniser["_Session"]):
    """Recognises the language of its model."""

    name = NAME

    def __init__(self, settings: VoskSettings, models: Path) -> None:
        super().__init__(NAME)
        self._settings, self._models = settings, models

    async def start(self) -> None:
        """Try the model in a process of its own, and load it. Raises ``EngineUnavailable``."""
        if self._pool is not None:
            return
        model = await asyncio.get_running_loop().run_in_executor(None, load, self._settings, self._models)
        decode = _Decoder(model).decode
        self._pool = DecodingPool(NAME, self._settings.workers, decode, repeatable=False)

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> RecogniserStream:
        """A stream for one leg. Raises ``EngineError`` where the engine was not started."""

        def new_session(expectation: Expectation | None) -> _Session:
            return _Session(hints, digits=expectation is not None and expectation.kind == "digits")

        return self._hearing(new_session, sink)


@dataclass(slots=True)
class _Session:
    """A segment's recogniser, made when its first audio is decoded, and what it has settled."""

    hints: RecognitionHints
    digits: bool
    recogniser: Any = None
    resampler: Resampler | None = None
    texts: list[str] = field(default_factory=list)
    words: list[RecognisedWord] = field(default_factory=list)


class _Decoder:
    """What runs in the threads; a segment is in one of them at a time."""

    def __init__(self, model: VoskModel) -> None:
        self._model = model

    def decode(self, pieces: Sequence[Piece[_Session]]) -> list[Transcript]:
        """Hear these pieces; gives what each segment says so far."""
        return [self._hear(piece) for piece in pieces]

    def _hear(self, piece: Piece[_Session]) -> Transcript:
        session = piece.session
        if session.recogniser is None or session.resampler is None:
            session.recogniser = self._model.recogniser(self._grammar(session))
            session.resampler = Resampler(SAMPLE_RATE, self._model.rate)
        audio = session.resampler.push(piece.samples)
        if piece.last:
            audio = np.concatenate((audio, session.resampler.flush(np.int16)))
        if session.recogniser.AcceptWaveform(audio.tobytes()):  # a pause: what came before it is settled
            _settle(session, session.recogniser.Result())
        if not piece.last:
            partial = json.loads(session.recogniser.PartialResult()).get("partial", "")
            return Transcript(_spoken([*session.texts, partial]), final=False)
        _settle(session, session.recogniser.FinalResult())
        session.recogniser = None
        return _final(session)

    def _grammar(self, session: _Session) -> str:
        """Empty: none."""
        digits = " ".join((*DIGIT_WORDS, DOUBLE))
        english = root(session.hints.language) == "en"
        if not (session.digits and english and self._model.takes_grammars):
            return ""
        if not self._model.knows(f"{digits} {_UNKNOWN}"):
            return ""
        phrases = [" ".join(phrase_words(phrase)) for phrase in session.hints.phrases[:_PHRASES]]
        known = [phrase for phrase in phrases if phrase and self._model.knows(phrase)]
        return json.dumps([*digits.split(), *known, _UNKNOWN], ensure_ascii=False)  # it reads no escapes


def _settle(session: _Session, result: str) -> None:
    """Take a result of Kaldi: ``{"text": ..., "result": [{"word", "start", "end", "conf"}]}``, in seconds."""
    answer = json.loads(result)
    session.texts.append(answer.get("text", ""))
    session.words += [
        RecognisedWord(
            word["word"],
            round(word["start"] * SAMPLE_RATE),
            round(word["end"] * SAMPLE_RATE),
            min(1.0, float(word["conf"])),
        )
        for word in answer.get("result", ())
    ]


def _final(session: _Session) -> Transcript:
    text = _spoken(session.texts)
    if not text:
        unknown = any(_UNKNOWN in heard.lower() for heard in session.texts)
        return Transcript(UNCLEAR if unknown else "", final=True)
    words = tuple(word for word in session.words if not word.text.startswith(_NO_WORDS))
    sure = [word.confidence or 0.0 for word in words]
    return Transcript(text, final=True, confidence=sum(sure) / len(sure) if sure else None, words=words)


def _spoken(texts: Sequence[str]) -> str:
    return " ".join(word for text in texts for word in text.split() if not word.startswith(_NO_WORDS))
