"""Real recorded utterances, when each of their words was said, and the same with pauses put in.

The recordings lie outside the repository, in ``../shared/speech``. Times are samples at 8 kHz.
"""

from __future__ import annotations

import json
import random
import wave
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pocketsphinx

from app.engines.ports import Expectation
from app.voice.language import normalise
from telephony.media import g711
from telephony.media.frame import SAMPLE_RATE, Samples
from telephony.media.level import rms_dbov

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "speech"

WRITTEN: dict[tuple[str, ...], str] = {
    ("cards_001",): "Ten of clubs.",
    ("cards_002",): "Four, queen of clubs.",
    ("cards_003",): "Seven of clubs.",
    ("cards_005",): "Eight of spades, four of clubs, seven of hearts.",
    ("austen_0870",): "And | Mister John Dashwood had then leisure | to consider | how much there might be | "
    "prudently in his power | to do for them.",
    ("austen_0880",): "He was not an ill disposed young man.",
    ("austen_0890",): "Unless | to be rather cold hearted | and | rather selfish | is to be ill disposed.",
    ("austen_0880", "austen_0890"): "He was not an ill disposed young man, | unless | to be rather cold "
    "hearted | and | rather selfish | is to be ill disposed.",
    ("goforward",): "Go forward ten meters.",
    ("tidigits_2934z",): "Two | nine | three | four | zero.",
    ("jfk",): "And | so, | my fellow Americans, | ask not | what your country can do for you, | "
    "ask what you can do for your country.",
    ("alsa_front_center",): "Front center.",
    ("alsa_front_left",): "Front left.",
    ("alsa_front_right",): "Front right.",
    ("alsa_rear_center",): "Rear center.",
    ("alsa_rear_left",): "Rear left.",
    ("alsa_rear_right",): "Rear right.",
}
"""Recordings -> what is said, as it is written; ``|`` where a clause ends, after conjunctions, and between
the digits of a number. Two recordings are consecutive lines of one reader."""

EXPECTED = {"tidigits_2934z": Expectation("digits", 5)}
"""What the speaker was asked for, where that is known."""

SHORTEST, LONGEST = 0.3, 0.6
"""Seconds of a pause that is put in."""

_FRAME = SAMPLE_RATE // 100  # of the aligner
_FADE = SAMPLE_RATE // 200
_BEFORE, _AFTER = SAMPLE_RATE // 2, 3 * SAMPLE_RATE  # of line noise around an utterance
_QUIETEST = -66.0  # dBov: a line is never digitally silent
_SPEECH_FROM = 0.25  # of the way from the quietest to the loudest frames, in dB


@dataclass(frozen=True, slots=True)
class Word:
    """``written`` is the word with its punctuation."""

    written: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """``places``: indices of words before which the speaker may pause."""

    name: str
    samples: Samples
    words: tuple[Word, ...]
    places: tuple[int, ...]
    expected: Expectation | None

    @property
    def text(self) -> str:
        """What is said, with punctuation."""
        return " ".join(word.written for word in self.words)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """An utterance as it is said on one occasion. ``pauses`` are (start, end) of those put in."""

    utterance: Utterance
    samples: Samples
    words: tuple[Word, ...]
    pauses: tuple[tuple[int, int], ...]

    @property
    def end(self) -> int:
        """Where the speech truly ends."""
        return self.words[-1].end

    def written(self, before: int) -> str:
        """The words said before a sample, with punctuation."""
        return " ".join(word.written for word in self.words if (word.start + word.end) // 2 < before)


def load_utterances(folder: Path = FOLDER) -> list[Utterance]:
    """All utterances that are written down. Raises ``SystemExit`` where the recordings are missing."""
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise SystemExit(f"{manifest} is missing: this measurement needs the recordings of ../shared/speech")
    entries = {entry["id"]: entry for entry in json.loads(manifest.read_text(encoding="utf-8"))}
    return [_utterance(folder, [entries[name] for name in names], said) for names, said in WRITTEN.items()]


def make_trials(utterances: Sequence[Utterance], count: int, seed: int) -> list[Trial]:
    """``count`` utterances with one to three pauses each; places and lengths are drawn at random."""
    draw = random.Random(seed)
    able = [utterance for utterance in utterances if utterance.places]
    trials = []
    for index in range(count):
        utterance = able[index % len(able)]
        pauses = draw.randint(1, min(3, len(utterance.places)))
        places = sorted(draw.sample(utterance.places, pauses))
        trials.append(
            say(utterance, {at: draw.uniform(SHORTEST, LONGEST) for at in places}, draw.randrange(2**32))
        )
    return trials


def say(utterance: Utterance, pauses: dict[int, float], seed: int = 0) -> Trial:
    """The utterance with pauses: index of the word that follows -> seconds.

    A pause is the silence from one audible sound to the next: what was silent there already counts, the rest
    is noise as quiet as the recording's quietest moments, and a longer silence is shortened.
    """
    line = _Line(utterance.samples, seed)
    line.noise(_BEFORE)
    words: list[Word] = []
    put_in = []
    position = 0
    for index, word in enumerate(utterance.words):
        if index in pauses:
            ended = utterance.words[index - 1].end
            length = round(pauses[index] * SAMPLE_RATE)
            kept = min(length, word.start - ended) // 2
            start = line.length + ended - position
            line.speech(position, ended + kept)
            line.noise(length - 2 * kept)
            put_in.append((start, start + length))
            position = word.start - kept
        shift = line.length - position
        words.append(Word(word.written, word.start + shift, word.end + shift))
    line.speech(position, len(utterance.samples))
    line.noise(_AFTER)
    return Trial(utterance, line.samples(), tuple(words), tuple(put_in))


class _Line:
    """Speech and noise, one after the other, as they come out of mu-law."""

    def __init__(self, source: Samples, seed: int) -> None:
        self._source = source
        self._random = np.random.default_rng(seed)
        level = max(_QUIETEST, _Level(source).quiet)
        self._amplitude = 32768 * 10 ** (level / 20)
        self._parts: list[Samples] = []
        self.length = 0

    def speech(self, start: int, end: int) -> None:
        """A stretch of the recording, faded at its edges against clicks."""
        part = self._source[start:end].astype(np.float64)
        fade = min(_FADE, part.size // 2)
        ramp = np.linspace(0.0, 1.0, fade, endpoint=False)
        part[:fade] *= ramp
        part[part.size - fade :] *= ramp[::-1]
        self._add(part)

    def noise(self, length: int) -> None:
        self._add(self._random.normal(0.0, self._amplitude, length))

    def samples(self) -> Samples:
        return np.concatenate(self._parts)

    def _add(self, part: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        clipped = np.clip(np.rint(part), -32768, 32767).astype(np.int16)
        self._parts.append(g711.decode(g711.encode(clipped)))
        self.length += part.size


def _utterance(folder: Path, entries: Sequence[dict[str, Any]], said: str) -> Utterance:
    written: list[str] = []
    places = []
    for clause in said.split("|"):
        places.append(len(written))
        written += clause.split()
    if normalise(said) != normalise(" ".join(entry["text"] for entry in entries)):
        raise ValueError(f"{said!r} is not what the manifest says")
    samples: list[Samples] = []
    times: list[tuple[int, int]] = []
    for entry in entries:
        shift = sum(part.size for part in samples)
        times += [
            (start + shift, end + shift) for start, end in _align(folder / entry["file"], entry["text"])
        ]
        samples.append(g711.decode((folder / entry["ulaw8k"]).read_bytes()))
    audio = np.concatenate(samples)
    heard = _Level(audio)
    words = tuple(Word(word, *heard.span(*time)) for word, time in zip(written, times, strict=True))
    name = "+".join(entry["id"] for entry in entries)
    return Utterance(name, audio, words, tuple(places[1:]), EXPECTED.get(name))


class _Level:
    """How loud a recording is in frames of 10 ms, in dBov."""

    def __init__(self, samples: Samples) -> None:
        frames = samples[: samples.size // _FRAME * _FRAME].reshape(-1, _FRAME)
        self._levels = np.array([rms_dbov(frame) for frame in frames])
        self.quiet, loud = np.percentile(self._levels, (2, 95))
        self._audible = self.quiet + _SPEECH_FROM * (loud - self.quiet)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a word is heard: the aligner gives a short silence between two words to one of them."""
        frames = np.flatnonzero(self._levels[start // _FRAME : end // _FRAME] > self._audible)
        if not frames.size:
            return start, end
        return start + int(frames[0]) * _FRAME, start + (int(frames[-1]) + 1) * _FRAME


def _align(path: Path, text: str) -> Iterable[tuple[int, int]]:
    """Start and end of each word of a recording, by forced alignment."""
    decoder = pocketsphinx.Decoder(lm=None, loglevel="FATAL")
    decoder.set_align_text(text)
    with wave.open(str(path)) as recording:
        data = recording.readframes(recording.getnframes())
    decoder.start_utt()
    decoder.process_raw(data, full_utt=True)
    decoder.end_utt()
    return [
        (segment.start_frame * _FRAME, (segment.end_frame + 1) * _FRAME)
        for segment in decoder.seg()
        if not segment.word.startswith("<")
    ]
