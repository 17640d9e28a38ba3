"""Where what was found is heard: with a recogniser's times, with some of them missing, and without any."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
import wave
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.privacy import CallTurn, Finding, Kind, Side, find
from app.voice.events import CallerWord
from tests.app.privacy.marked import spoken

SPEECH = Path(__file__).parents[4] / "shared" / "speech"
RATE = 16_000
NEAR_SECONDS = 0.2
SENTENCES = (
    (
        "my card number is",
        "four one one one two two two two nine oh one three five five six eight",
        "thank you",
    ),
    ("yes it's account number", "seven three double oh nine four", "on the letter"),
    ("call me back on", "oh seven nine one one two three four five six eight", "after six"),
    ("i was born on the", "third of may nineteen eighty five", "in leeds"),
    ("it is", "john dot smith at example dot com", "all in small letters"),
)


def caller(turn: CallTurn) -> Finding:
    return next(finding for finding in find([turn], "en") if finding.side is Side.CALLER)


def far(found: tuple[float, float] | None, truth: tuple[float, float]) -> float:
    """The larger distance of the two edges, in seconds."""
    assert found is not None
    return max(abs(found[0] - truth[0]), abs(found[1] - truth[1]))


def heard(words: Sequence[CallerWord], seed: int, missing: float) -> tuple[CallerWord, ...]:
    """As a recogniser places words: each edge up to 60 ms off, some words without a time."""
    rng = random.Random(seed)
    return tuple(
        CallerWord(word.text, word.started + rng.uniform(-0.06, 0.06), word.ended + rng.uniform(-0.06, 0.06))
        for word in words
        if rng.random() >= missing
    )


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_the_span_is_near_the_words(sentence: tuple[str, str, str], missing: float) -> None:
    text = " ".join(sentence)
    words = spoken(text, started=12.0, pace=0.3, pause=0.06)
    first = len(sentence[0].split())
    last = first + len(sentence[1].split()) - 1
    truth = (words[first].started, words[last].ended)
    distances: list[float] = []
    for seed in range(20):
        turn = CallTurn(0, text, heard(words, seed, missing), words[0].started, words[-1].ended)
        found = caller(turn).audio
        assert found is not None
        distances.append(far(found, truth))
        assert found[0] <= truth[0] + 0.05, seed
        assert found[1] >= truth[1] - 0.05, seed
    distances.sort()
    assert distances[-2] <= NEAR_SECONDS, distances
    assert distances[-1] <= NEAR_SECONDS + (0.1 if missing else 0.0), distances


def test_nothing_of_the_number_is_left_where_times_are_missing() -> None:
    text = " ".join(SENTENCES[0])
    words = spoken(text, started=12.0)
    only = (words[0], words[3], words[-2])  # my, is, thank
    turn = CallTurn(0, text, only, words[0].started, words[-1].ended)
    found = caller(turn).audio
    assert found is not None
    assert found[0] <= words[4].started
    assert found[1] >= words[-3].ended
    assert far(found, (words[4].started, words[-3].ended)) <= NEAR_SECONDS


def test_without_a_word_that_has_a_time_it_is_the_whole_turn() -> None:
    turn = CallTurn(0, "my account number is 123456", (), 10.0, 14.0)
    assert caller(turn).audio == pytest.approx((9.9, 14.1))


def test_a_turn_of_keys_is_between_the_replies() -> None:
    asked = "Please enter your card number."
    turns = [
        CallTurn(0, reply_text=asked, heard_text=asked, reply_started=1.0, reply_ended=3.0),
        CallTurn(1, "4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2", reply_started=9.0, reply_ended=10.0),
    ]
    (finding,) = find(turns, "en")
    assert finding.kind is Kind.CARD_NUMBER
    assert finding.audio == (1.0, 9.0)


def test_what_has_no_time_is_anywhere_between_the_turns_beside_it() -> None:
    assert caller(CallTurn(0, "my account number is 123456")).audio == (0.0, math.inf)
    said = "Your account number is 123456."
    untimed = CallTurn(1, "my account number is 123456", reply_text=said, heard_text=said)
    before = CallTurn(0, "hello", caller_started=2.0, caller_ended=2.5)
    after = CallTurn(2, "yes", caller_started=9.0, reply_text="Fine.", heard_text="Fine.", reply_started=11.0)
    by_side = {finding.side: finding.audio for finding in find([before, untimed, after], "en")}
    assert by_side[Side.HEARD] == by_side[Side.CALLER] == (2.0, 9.0)
    assert by_side[Side.REPLY] is None
    half = replace(untimed, caller_words=(CallerWord("my", 3.0, 3.2),), reply_started=8.0)
    by_side = {finding.side: finding.audio for finding in find([before, half, after], "en")}
    assert by_side[Side.CALLER] == (2.0, 8.0)


def test_the_agents_span_is_by_its_share_of_what_was_heard() -> None:
    said = "Your account number is 123456. Is that right?"
    turn = CallTurn(0, reply_text=said, heard_text=said, reply_started=20.0, reply_ended=24.5)
    by_side = {finding.side: finding for finding in find([turn], "en")}
    assert by_side[Side.REPLY].audio is None
    assert by_side[Side.HEARD].audio == pytest.approx((20.0 + 2.3 - 0.3, 20.0 + 2.9 + 0.3))


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed: apt-get install flite")
def test_the_span_is_near_the_words_of_synthesised_speech_that_a_recogniser_placed(tmp_path: Path) -> None:
    """Each word is synthesised by itself: its place is known to the sample. Pocketsphinx places it again."""
    distances: list[float] = []
    for sentence in SENTENCES[:2]:
        words = " ".join(sentence).split()
        audio, places = synthesised(words, tmp_path)
        aligned = align(words, audio)
        assert [word.text for word in aligned] == words
        first = len(sentence[0].split())
        last = first + len(sentence[1].split()) - 1
        truth = (places[first][0], places[last][1])
        turn = CallTurn(0, " ".join(words), aligned, places[0][0], places[-1][1])
        distances.append(far(caller(turn).audio, truth))
        fewer = tuple(word for number, word in enumerate(aligned) if number % 3 != first % 3)
        partly = CallTurn(0, " ".join(words), fewer, places[0][0], places[-1][1])
        distances.append(far(caller(partly).audio, truth))
    assert max(distances) <= NEAR_SECONDS


@pytest.mark.skipif(not SPEECH.is_dir(), reason=f"no recorded speech in {SPEECH}")
def test_the_span_is_near_a_recorded_voice() -> None:
    """Five digits, said by a person: where they begin and end is heard by their level."""
    entries = json.loads((SPEECH / "manifest.json").read_text())
    entry = next(one for one in entries if one["id"] == "tidigits_2934z")
    audio = samples(SPEECH / entry["file"])
    words = entry["text"].split()
    level = np.sqrt(np.convolve(audio.astype(float) ** 2, np.ones(160) / 160, "same"))
    loud = np.nonzero(level > 0.05 * level.max())[0] / RATE
    truth = (float(loud[0]), float(loud[-1]))
    asked = "What is your account number?"
    turns = [
        CallTurn(0, reply_text=asked, heard_text=asked),
        CallTurn(1, entry["text"], align(words, audio), 0.0, len(audio) / RATE),
    ]
    (finding,) = find(turns, "en")
    assert far(finding.audio, truth) <= NEAR_SECONDS


def synthesised(words: Sequence[str], folder: Path) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Words of the voice rms with 0.12 s between them, and where each begins and ends, in seconds."""
    parts = [np.zeros(RATE * 3 // 10, np.int16)]
    places: list[tuple[float, float]] = []
    for word in words:
        path = folder / f"{word}.wav"
        if not path.exists():
            command = ["flite", "-voice", "rms", "-t", word, "-o", str(path)]
            subprocess.run(command, check=True, timeout=20)
        audio = samples(path)
        loud = np.nonzero(np.abs(audio.astype(int)) > 300)[0]
        audio = audio[loud[0] : loud[-1] + 1]
        began = sum(map(len, parts)) / RATE
        places.append((began, began + len(audio) / RATE))
        parts += [audio, np.zeros(RATE * 12 // 100, np.int16)]
    return np.concatenate(parts), places


def samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def align(words: Sequence[str], audio: np.ndarray) -> tuple[CallerWord, ...]:
    """The words as Pocketsphinx places them, knowing what is said; its frames are 10 ms."""
    from pocketsphinx import Decoder

    decoder = Decoder(loglevel="FATAL", samprate=RATE)
    decoder.set_align_text(" ".join(words))
    decoder.start_utt()
    decoder.process_raw(audio.tobytes(), full_utt=True)
    decoder.end_utt()
    return tuple(
        CallerWord(segment.word.split("(")[0], segment.start_frame / 100, (segment.end_frame + 1) / 100)
        for segment in decoder.seg()
        if not segment.word.startswith("<")
    )
