"""pocketsphinx for one stream: a search for the domain's words and, while a number is expected, one for it.

Runs in a worker process: a decoder holds the interpreter's lock. Streaming with the tree search alone; on 80
phrases of the domain by four synthetic voices through mu-law, with the cepstral mean carried from segment to
segment, the figures were (words wrong, time to the final):

    tree search, streamed                3.1 %      2 ms
    tree search, flat search at the end  2.3 %     41 ms
    whole utterance at the end           3.6 %     78 ms
    the same with flat search            2.8 %    115 ms
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pocketsphinx

from app.engines.digits import count_digits, digit_runs, figures, spaced
from app.engines.stt.domain import digits_grammar
from app.engines.stt.judgement import Heard, HeardWord, judge, judge_number
from app.engines.stt.pocketsphinx_messages import ANY_LENGTH, ANYTHING
from telephony.media.frame import SAMPLE_RATE, Samples
from telephony.media.resample import Resampler

_MODEL_RATE = 16_000
# The mean of speech through a telephone, where the model expects a studio microphone.
_TELEPHONE_MEAN = (
    "48.965,27.684,-37.279,41.670,-29.963,2.524,11.593,-30.888,21.965,-15.248,2.259,9.105,-14.117"
)
_LEAST_LIKELIHOOD = 1e-308  # what a long word's underflows to
_FREE = {"lw": 10.0}
_NUMBER = {"wip": 0.05}  # against digits heard twice
_INTERIM_SAMPLES = SAMPLE_RATE // 5


def dictionary_path() -> Path:
    """The pronouncing dictionary inside the package."""
    return Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))


class Ear:
    """One stream's decoders. 6 MB and 30 ms each to make; reused for the next stream after ``reset``."""

    def __init__(self, dictionary: Path, model: Path) -> None:
        self._free = _decoder(dict=str(dictionary), lm=str(model), **_FREE)
        self._number = _decoder(dict=str(dictionary), **_NUMBER)
        self._grammars: set[int] = set()
        self._resampler = Resampler(SAMPLE_RATE, _MODEL_RATE)
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the next one has another voice and line."""
        self._listening = False
        self._expected = self._next_expected = ANYTHING
        self._until_interim = _INTERIM_SAMPLES
        self._interim = ""
        for decoder in (self._free, self._number):
            decoder.set_cmn(_TELEPHONE_MEAN)

    def expect(self, digits: int) -> None:
        """From the next segment on: a number of so many digits, of ``ANY_LENGTH``, or ``ANYTHING``."""
        self._next_expected = digits

    def hear(self, samples: Samples) -> str | None:
        """Take audio; the interim transcript when it has changed, at most once in 200 ms of audio."""
        if not samples.size:
            return None
        if not self._listening:
            self._begin()
        self._decode(self._resampler.push(samples))
        self._until_interim -= samples.size
        if self._until_interim > 0:
            return None
        self._until_interim = _INTERIM_SAMPLES
        text = self._interim_text()
        if text == self._interim:
            return None
        self._interim = text
        return text

    def finish(self) -> tuple[str, float]:
        """End the segment: its transcript, empty without words, and the confidence."""
        if not self._listening:
            return "", 0.0
        self._decode(self._resampler.flush(np.int16))
        self._listening = False
        for decoder in self._active():
            decoder.end_utt()
        free = _heard(self._free)
        if self._expected == ANYTHING:
            return judge(free)
        return judge_number(free, _heard(self._number), self._expected or None)

    def _begin(self) -> None:
        self._listening = True
        self._expected = self._next_expected
        self._until_interim, self._interim = _INTERIM_SAMPLES, ""
        if self._expected != ANYTHING:
            self._use_grammar(self._expected)
        for decoder in self._active():
            decoder.start_utt()

    def _active(self) -> tuple[Any, ...]:
        return (self._free,) if self._expected == ANYTHING else (self._free, self._number)

    def _use_grammar(self, digits: int) -> None:
        name = f"digits-{digits}"
        if digits not in self._grammars:
            first, last, arcs = digits_grammar(digits if digits != ANY_LENGTH else None)
            self._number.add_fsg(name, self._number.create_fsg(name, first, last, arcs))
            self._grammars.add(digits)
        self._number.activate_search(name)

    def _decode(self, samples: Samples) -> None:
        if samples.size:  # an empty chunk raises IndexError in the library
            data = samples.tobytes()
            for decoder in self._active():
                decoder.process_raw(data, False, False)

    def _interim_text(self) -> str:
        free = _text(self._free)
        if self._expected != ANYTHING and count_digits(free):
            return spaced("".join(digit_runs(_text(self._number)))) or figures(free)
        return figures(free)


def _decoder(**options: Any) -> Any:
    return pocketsphinx.Decoder(
        hmm=pocketsphinx.get_model_path("en-us/en-us"),
        cmninit=_TELEPHONE_MEAN,
        fwdflat=False,
        loglevel="FATAL",
        **({"lm": None} | options),
    )


def _text(decoder: Any) -> str:
    hypothesis = decoder.hyp()
    return str(hypothesis.hypstr) if hypothesis is not None else ""


def _heard(decoder: Any) -> Heard:
    segments: Iterable[Any] = decoder.seg() or ()
    return Heard(
        tuple(
            HeardWord(
                word=segment.word.split("(", maxsplit=1)[0],
                frames=segment.end_frame - segment.start_frame + 1,
                fit=math.log(max(segment.ascore, _LEAST_LIKELIHOOD)),
                posterior=min(1.0, segment.prob),
                known_pair=segment.lback != 1,
            )
            for segment in segments
            if not segment.word.startswith(("<", "[", "("))
        )
    )
