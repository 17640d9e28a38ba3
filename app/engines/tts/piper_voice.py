"""A Piper voice in its worker process: loaded from its files, and stopped in the middle of a sentence.

piper-tts is GPL-3: this module belongs to the worker process and is imported nowhere else.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from piper import PiperVoice, SynthesisConfig
from piper.config import PhonemeType, PiperConfig

from app.engines.tts.piper_alignment import WordPlaces, with_lengths
from app.engines.tts.speech_service import Word

_MOST_VOICES = 4  # kept at once: a medium voice takes about 100 MB
_MOST_WORDS = 4096  # whose phonemes are kept: 0.12 ms each
_PEAK = 0.85  # of full scale; Piper brings each sentence to its peak
_RATE_STEP = 50  # Hz: so that few resampling filters are needed
_PLAIN = {PhonemeType.ESPEAK, PhonemeType.TEXT}  # words of these can be looked at alone


@dataclass(frozen=True, slots=True)
class Manner:
    """How a phrase is spoken. ``rate`` and ``pitch`` are factors; ``speaker``: its name or number."""

    speaker: str
    rate: float
    pitch: float


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence's audio at the source's rate, and the words that begin in it, in its own samples."""

    samples: npt.NDArray[np.int16]
    words: list[Word]


class LoadedVoice:
    """One voice. Raises ``OSError``, ``ValueError``, ``LookupError`` or the runtime's errors."""

    def __init__(self, path: Path, threads: int) -> None:
        given: dict[str, Any] = json.loads(Path(f"{path}.json").read_text(encoding="utf-8"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(
            with_lengths(path.read_bytes()), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._session = _Session(session)
        self._voice = PiperVoice(
            session=self._session, config=PiperConfig.from_dict(given), download_dir=path.parent
        )
        self._phonemize = self._voice.phonemize
        self._voice.phonemize = lru_cache(1)(self._phonemize)  # asked for marks and for speech alike
        self._alone = lru_cache(_MOST_WORDS)(self._phonemes)
        self._marks = len(session.get_outputs()) > 1 and self._voice.config.phoneme_type in _PLAIN

    def source_rate(self, pitch: float) -> int:
        """The rate in Hz at which its samples are to be taken: a voice taken faster is higher."""
        own: int = self._voice.config.sample_rate
        return round(own * pitch / _RATE_STEP) * _RATE_STEP

    def stop(self) -> None:
        """End the sentence being made, which then fails. For any thread."""
        self._session.stop()

    def sentences(self, phrase: str, manner: Manner) -> Iterator[Sentence]:
        """The phrase's sentences as they are made. Raises what the library raises."""
        self._session.renew()
        phrase = phrase.replace("\0", " ")  # ends the phonemiser's text
        text = phrase.replace("[[", "[ [")  # what is inside would be taken for phonemes
        config = self._voice.config
        pitch = self.source_rate(manner.pitch) / config.sample_rate
        synthesis = SynthesisConfig(
            speaker_id=_speaker(manner.speaker, config.speaker_id_map),
            length_scale=config.length_scale * pitch / manner.rate,
            volume=_PEAK,
        )
        places = self._places(phrase, text) if self._marks else None
        chunks = self._voice.synthesize(text, synthesis, include_alignments=self._marks)
        for number, chunk in enumerate(chunks):
            words = _words(places, number, chunk.phoneme_alignments) if places else []
            yield Sentence(chunk.audio_int16_array, words)

    def _places(self, phrase: str, text: str) -> WordPlaces:
        spoken = [phonemes for phonemes in self._voice.phonemize(text) if phonemes]
        return WordPlaces(phrase, spoken, self._alone)

    def _phonemes(self, word: str) -> list[str]:
        return [phoneme for phonemes in self._phonemize(word) for phoneme in phonemes]


class Voices:
    """The voices used last."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._loaded: OrderedDict[Path, LoadedVoice] = OrderedDict()

    def get(self, path: Path) -> LoadedVoice:
        """The voice of this file; loaded now if need be. Raises as ``LoadedVoice``."""
        voice = self._loaded.get(path)
        if voice is None:
            while len(self._loaded) >= _MOST_VOICES:
                self._loaded.popitem(last=False)
            voice = self._loaded[path] = LoadedVoice(path, self._threads)
        self._loaded.move_to_end(path)
        return voice


class _Session:
    """A session whose run can be ended from another thread."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self.renew()

    def renew(self) -> None:
        self._options = onnxruntime.RunOptions()

    def run(self, outputs: list[str] | None, inputs: dict[str, Any]) -> Any:
        return self._session.run(outputs, inputs, self._options)

    def stop(self) -> None:
        self._options.terminate = True


def _speaker(name: str, known: Mapping[str, int]) -> int | None:
    if not name:
        return None
    return known[name] if name in known else int(name)


def _words(places: WordPlaces, sentence: int, alignments: list[Any] | None) -> list[Word]:
    if alignments is None:
        return []  # a phoneme that the voice does not know
    begins = np.cumsum([0, *(entry.num_samples for entry in alignments)])
    return [
        Word(char, int(begins[index + 1])) for char, index in places.of(sentence)
    ]  # the first one begins it
