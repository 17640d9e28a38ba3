"""Whisper on ctranslate2: decoding of audio, in threads that share one model.

Finals fill Whisper's window of 30 s, as it was trained. Interims fill 10 s. With tiny.en (int8, one core) on
27 recordings over a telephone line, 161 words, 78 % of the words are right at 30 s and 81 % at 10 s, where
the encoder takes a ninth of the time: 43 ms instead of 383; with noise 44 dB below full scale 77 % at both.
Less is no use: below 10 s Whisper says the same words again and again (68 % right at 8 s).

An agent's phrases, as the prompt of finals, raise 78 % to 90 %. Interims of 3 s windows come to 76 %, with
the phrases to 45 %: so they are not told.

Nothing here holds the interpreter's lock for more than 4 ms.
"""

from __future__ import annotations

import math
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from app.engines.languages import root
from app.engines.ports import UNCLEAR, RecognisedWord, RecognitionHints
from app.engines.stt.whisper_segment import Decoded, Decoding, Purpose
from telephony.media.frame import SAMPLE_RATE, Samples
from telephony.media.resample import Resampler

NAME = "faster_whisper"

_RATE = 16_000
_FRAME_RATE = 100  # features a second
_WHOLE_FRAMES = 3000
_WINDOW_FRAMES = 1000
_MARGIN_FRAMES = 200  # of silence after a longer window
_LEAST_SAMPLES = _RATE // 10
_PIECE_SAMPLES = SAMPLE_RATE // 8  # resampled at once: pieces of one length share a plan
_TOKENS = 16  # that any audio may have, and so many more a second: the fastest talkers need 8
_MOST_TOKENS = 224
_PROMPT_TOKENS = 100  # of an agent's phrases
_PROMPTS = 64  # kept
_ENDS_BEFORE = "\"'“¿([{-"
_ENDS_AFTER = "\"'.。,，!！?？:：”)]}、"

# Whisper's own thresholds (openai/whisper, transcribe.py). Silence, noise and tones measured 0.77-0.95 and
# -1.3 to -1.8, speech 0.01-0.24 and -0.08 to -0.84.
_NO_SPEECH = 0.6
_LEAST_LOG_PROBABILITY = -1.0
_REPETITIVE = 2.4

_SURE_OF_LANGUAGE = 0.5
_BCP_47 = {"jw": "jv", "no": "nb"}  # where Whisper's codes differ

_Floats = npt.NDArray[np.float32]


class WhisperDecoder:
    """A loaded model. Its methods may be called from any thread."""

    def __init__(self, model: Any) -> None:
        from faster_whisper.tokenizer import Tokenizer  # noqa: PLC0415
        from faster_whisper.transcribe import merge_punctuations  # noqa: PLC0415

        self._model = model
        self._tokenizer_class = Tokenizer
        self._merge_punctuation = merge_punctuations
        self._multilingual = bool(model.model.is_multilingual)
        self.languages = frozenset(model.supported_languages)
        self._tokenizers: dict[str, Any] = {}  # of each language
        self._prompts: OrderedDict[RecognitionHints, tuple[int, ...]] = OrderedDict()

    @property
    def on_cuda(self) -> bool:
        """Whether it runs on a CUDA device."""
        return str(self._model.model.device) == "cuda"

    def decode(self, tasks: Sequence[Decoding]) -> list[Decoded]:
        """What was said in each. Tasks of one language, window and length of prompt are decoded together."""
        audio = [_audio(task.samples) for task in tasks]
        groups: dict[tuple[str, int, int], list[int]] = {}
        for index, task in enumerate(tasks):
            key = (
                language_of(task.hints),
                _window(audio[index].size, task.purpose),
                len(self._prompt(_told(task))),
            )
            groups.setdefault(key, []).append(index)
        answers = [Decoded()] * len(tasks)
        for (_, frames, _), members in groups.items():
            heard = self._decode_alike(
                [audio[index] for index in members], [_told(tasks[index]) for index in members], frames
            )
            for index, decoded in zip(members, heard, strict=True):
                answers[index] = decoded
        return answers

    def _decode_alike(
        self, audio: Sequence[_Floats], hints: Sequence[RecognitionHints], frames: int
    ) -> list[Decoded]:
        tokenizer = self._tokenizer(language_of(hints[0]))
        features = [self._model.feature_extractor(samples)[:, :frames] for samples in audio]
        lengths = [feature.shape[1] for feature in features]
        batch = np.zeros((len(features), features[0].shape[0], frames), dtype=np.float32)
        for row, feature, length in zip(batch, features, lengths, strict=True):
            row[:, :length] = feature
        encoded = self._model.encode(batch)
        prompts = [list(self._prompt(hint)) for hint in hints]
        tokens = min(_MOST_TOKENS, _TOKENS + _TOKENS * max(lengths) // _FRAME_RATE)
        results = self._model.model.generate(
            encoded,
            prompts,
            beam_size=1,
            max_length=max(2 * tokens, tokens + len(prompts[0])),  # it takes half for the prompt
            return_scores=True,
            return_no_speech_prob=True,
        )
        spoken = [[token for token in result.sequences_ids[0] if token < tokenizer.eot] for result in results]
        aligned = self._align(tokenizer, spoken, encoded, lengths)
        languages = self._heard_languages(encoded, hints) if frames == _WHOLE_FRAMES else [None] * len(hints)
        return [
            _judge(tokenizer.decode(tokens).strip(), words, result, language)
            for tokens, words, result, language in zip(spoken, aligned, results, languages, strict=True)
        ]

    def _align(
        self, tokenizer: Any, spoken: list[list[int]], encoded: Any, lengths: list[int]
    ) -> list[tuple[RecognisedWord, ...]]:
        if not any(spoken):
            return [()] * len(spoken)
        found = self._model.find_alignment(tokenizer, spoken, encoded, lengths)
        for words in found:
            self._merge_punctuation(words, _ENDS_BEFORE, _ENDS_AFTER)
        return [tuple(_word(word) for word in words if word["word"].strip()) for words in found]

    def _heard_languages(self, encoded: Any, hints: Sequence[RecognitionHints]) -> list[str | None]:
        """The language of each, where the model knows several and is sure of one."""
        if not self._multilingual:
            return [None] * len(hints)
        languages: list[str | None] = []
        for hint, ranked in zip(hints, self._model.model.detect_language(encoded), strict=True):
            token, probability = ranked[0]
            code = str(token)[2:-2]  # <|en|>
            named = hint.language if code == language_of(hint) else _BCP_47.get(code, code)
            languages.append(named if probability >= _SURE_OF_LANGUAGE else None)
        return languages

    def _tokenizer(self, language: str) -> Any:
        if language not in self._tokenizers:
            made = self._tokenizer_class(self._model.hf_tokenizer, self._multilingual, "transcribe", language)
            self._tokenizers[language] = made
        return self._tokenizers[language]

    def _prompt(self, hints: RecognitionHints) -> tuple[int, ...]:
        """As many phrases, in order, as fit; then the beginning of a transcript without times."""
        known = self._prompts.get(hints)
        if known is not None:
            return known
        tokenizer = self._tokenizer(language_of(hints))
        before: list[int] = []
        for phrase in hints.phrases:
            tokens = tokenizer.encode(f" {phrase.strip()}.")
            if len(before) + len(tokens) > _PROMPT_TOKENS:
                break
            before += tokens
        prompt = tuple(self._model.get_prompt(tokenizer, before, without_timestamps=True))
        self._prompts[hints] = prompt
        while len(self._prompts) > _PROMPTS:
            self._prompts.popitem(last=False)
        return prompt


def _told(task: Decoding) -> RecognitionHints:
    """What the decoder is told. Phrases are for finals: in the window of interims it says them itself."""
    if task.purpose is Purpose.INTERIM:
        return RecognitionHints(task.hints.language)
    return task.hints


def language_of(hints: RecognitionHints) -> str:
    """Whisper's code of the language: the first subtag."""
    subtag = root(hints.language)
    return next((code for code, tag in _BCP_47.items() if tag == subtag), subtag)


def _audio(samples: Samples) -> _Floats:
    """16 kHz, -1 to 1, at least 0.1 s."""
    resampler = Resampler(SAMPLE_RATE, _RATE)
    audio = samples.astype(np.float32) * np.float32(1 / 32768)
    pieces = [
        resampler.push(audio[start : start + _PIECE_SAMPLES])
        for start in range(0, audio.size, _PIECE_SAMPLES)
    ]
    audio = np.concatenate((*pieces, resampler.flush(np.float32)))
    return np.pad(audio, (0, max(0, _LEAST_SAMPLES - audio.size)))


def _window(samples: int, purpose: Purpose) -> int:
    """How many frames the encoder gets."""
    if purpose is not Purpose.INTERIM:
        return _WHOLE_FRAMES
    return min(_WHOLE_FRAMES, max(_WINDOW_FRAMES, samples * _FRAME_RATE // _RATE + _MARGIN_FRAMES))


def _word(word: dict[str, Any]) -> RecognisedWord:
    return RecognisedWord(
        word["word"],
        round(float(word["start"]) * SAMPLE_RATE),
        round(float(word["end"]) * SAMPLE_RATE),
        float(word["probability"]),
    )


def _judge(text: str, words: tuple[RecognisedWord, ...], result: Any, language: str | None) -> Decoded:
    """What to believe of a result, by the signals that Whisper itself goes by."""
    count = len(result.sequences_ids[0])
    log_probability = float(result.scores[0]) * count / (count + 1)  # the end counts as a token
    repetitive = len(text.encode()) / len(zlib.compress(text.encode())) > _REPETITIVE
    unlikely = log_probability < _LEAST_LOG_PROBABILITY
    if not any(character.isalnum() for character in text):
        return Decoded()
    if result.no_speech_prob > _NO_SPEECH and (unlikely or repetitive):
        return Decoded()
    confidence = min(1.0, math.exp(log_probability))
    if unlikely or repetitive:
        return Decoded(UNCLEAR, confidence=confidence)
    return Decoded(text, words, confidence, language)
