"""The ``faster_whisper`` recogniser: Whisper on ctranslate2, in threads of this process.

Whisper hears whole utterances. For interims a window of at most ``window_seconds`` at the end of the segment
is decoded again for every ``interim_seconds`` of speech, and what two decodings agree on stays; the final is
one pass over the whole segment. All calls share one model and ``workers`` threads: finals first, then
whoever has waited longest; when they cannot keep up, interims get rarer. On CUDA calls are decoded together.

One final on one core: tiny.en 0.43 s, of which 0.38 the encoder; an interim 0.07 s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from app.engines.errors import EngineError, RequestRefused
from app.engines.ports import RecogniserStream, RecognitionHints, Transcript
from app.engines.stt.decoding_pool import DecodingPool
from app.engines.stt.pooled import PooledRecogniser
from app.engines.stt.whisper_loading import load
from app.engines.stt.whisper_model import NAME, language_of
from app.engines.stt.whisper_segment import Decoded, Decoding, Segment
from config.engines import FasterWhisperSettings
from telephony.media.frame import SAMPLE_RATE

_CUDA_BATCH = 16
_HELD_SAMPLES = 120 * SAMPLE_RATE  # of a stream, not decoded for good; what exceeds it is dropped


class FasterWhisperRecogniser(PooledRecogniser[Decoding, Decoded]):
    """Recognises the languages of its model. An agent's phrases are told to it as what was said before.

    It cannot listen for digits or letters: ``expect`` changes nothing.
    """

    name = NAME

    def __init__(self, settings: FasterWhisperSettings, models: Path) -> None:
        super().__init__(NAME)
        self._settings, self._models = settings, models
        self._languages: frozenset[str] = frozenset()
        self._interim = round(settings.interim_seconds * SAMPLE_RATE)
        self._window = round(settings.window_seconds * SAMPLE_RATE)

    async def start(self) -> None:
        """Load the model and try it; 1 to 5 s. Raises ``EngineUnavailable``."""
        if self._pool is not None:
            return
        loop = asyncio.get_running_loop()
        decoder = await loop.run_in_executor(None, load, self._settings, self._models)
        batch = _CUDA_BATCH if decoder.on_cuda else 1
        self._languages = decoder.languages
        self._pool = DecodingPool(NAME, self._settings.workers, decoder.decode, batch)

    async def prepare(self, hints: RecognitionHints) -> None:
        """Nothing depends on the hints but whether the model knows the language.

        Raises ``RequestRefused`` where it does not.
        """
        self._check(hints)

    def open(self, hints: RecognitionHints, sink: Callable[[Transcript], None]) -> RecogniserStream:
        """A stream for one leg. Raises ``RequestRefused`` for a language that the model does not know."""
        self._check(hints)
        language = language_of(hints)
        return self._stream(
            lambda _: Segment(self._interim, self._window, language, hints), sink, _HELD_SAMPLES
        )

    def _check(self, hints: RecognitionHints) -> None:
        if self._pool is None:
            raise EngineError(NAME, "it was not started")
        if language_of(hints) not in self._languages:
            known = "only English" if len(self._languages) == 1 else "another language"
            raise RequestRefused(
                NAME,
                f"its model {self._settings.model} understands {known}, not {hints.language!r}; "
                "set TRUNKLINE_ENGINES__FASTER_WHISPER__MODEL to one that does",
            )
