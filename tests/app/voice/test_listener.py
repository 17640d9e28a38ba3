from __future__ import annotations

import numpy as np

from app.engines.ports import Expectation, RecognisedWord, RecognitionHints, Transcript
from app.voice.echo import EchoMatcher
from app.voice.events import Backchannel
from app.voice.listener import PRE_ROLL, Listener, Listening
from app.voice.profile import Overlap, TurnTaking
from app.voice.turn import Input
from telephony.events import AudioReceived
from telephony.media.frame import FRAME_SAMPLES, Samples, silence
from tests.fakes.detector import FakeDetector
from tests.fakes.leg import LOUD


class Stream:
    """A recogniser's stream that keeps what it is given; the test answers for it."""

    def __init__(self) -> None:
        self.segments: list[list[Samples]] = [[]]
        self.expected: list[Expectation | None] = []
        self.closed = False

    def push(self, samples: Samples) -> None:
        self.segments[-1].append(samples)

    def finish_segment(self) -> None:
        self.segments.append([])

    def expect(self, expectation: Expectation | None) -> None:
        self.expected.append(expectation)

    async def close(self) -> None:
        self.closed = True

    def samples(self, segment: int) -> Samples:
        return np.concatenate(self.segments[segment])


class Recogniser:
    name = "test"

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def prepare(self, hints: RecognitionHints) -> None: ...

    def open(self, hints: RecognitionHints, sink: object) -> Stream:
        self.sink, self.stream = sink, Stream()
        return self.stream


class Line:
    """A listener, its clock and what it reported."""

    def __init__(self) -> None:
        self.now = 50.0
        self.reported: list[tuple[Input, float | None]] = []
        self.agent_text = ""
        self.backchannels: list[Backchannel] = []
        self.recogniser = Recogniser()
        self.listener = Listener(
            FakeDetector(),
            self.recogniser,
            RecognitionHints(),
            TurnTaking(pause_seconds=0.12, overlap=Overlap(confirm_seconds=0.3)),
            EchoMatcher(),
            Listening(
                clock=lambda: self.now,
                report=lambda event, at: self.reported.append((event, at)),
                agent_text=lambda: self.agent_text,
                backchannel=lambda heard, said: self.backchannels.append(heard),
            ),
        )
        self.at = 0

    @property
    def stream(self) -> Stream:
        return self.recogniser.stream

    def hear(self, seconds: float, frame: Samples | None = None) -> None:
        for _ in range(round(seconds * 50)):
            self.now += 0.02
            samples = silence(FRAME_SAMPLES) if frame is None else frame
            self.listener.hear(AudioReceived(samples, self.at))
            self.at += FRAME_SAMPLES

    def say(self, seconds: float) -> None:
        self.hear(seconds, LOUD)

    def answer(self, text: str, *words: RecognisedWord, final: bool = True) -> None:
        self.recogniser.sink(Transcript(text, final, words=words))  # type: ignore[operator]

    @property
    def inputs(self) -> list[Input]:
        return [event for event, _ in self.reported]


def test_a_segment_begins_before_the_onset_and_ends_at_the_pause() -> None:
    line = Line()
    line.hear(1.0)
    line.say(0.5)
    line.hear(0.5)
    heard = line.stream.samples(0)
    first = int(np.argmax(heard != 0))
    assert PRE_ROLL - 400 <= first <= PRE_ROLL + 400
    assert int((heard != 0).sum()) == 0.5 * 8000
    assert line.inputs == [Input.SPEECH_STARTED, Input.SPEECH_STOPPED]
    stopped_at = line.reported[1][1]
    assert stopped_at is not None
    assert abs(stopped_at - 51.5) < 0.05  # when the speech ended, not when that was noticed


def test_a_second_segment_repeats_nothing_of_the_first() -> None:
    line = Line()
    line.hear(0.5)
    line.say(0.4)
    line.hear(0.2)
    line.say(0.4)
    line.hear(0.3)
    total = len(line.stream.samples(0)) + len(line.stream.samples(1))
    assert total <= line.at
    assert int((line.stream.samples(1) != 0).sum()) == 0.4 * 8000


def test_words_of_several_segments_are_joined() -> None:
    line = Line()
    line.say(0.4)
    line.hear(0.2)
    line.answer("one two")
    line.say(0.4)
    line.hear(0.2)
    line.answer("three", final=False)
    line.answer("three four")
    assert line.listener.take_words().text == "one two three four"
    assert line.listener.words.text == ""


def test_the_final_input_waits_for_the_last_final() -> None:
    line = Line()
    line.say(0.4)
    line.hear(0.2)
    line.say(0.4)
    line.hear(0.2)
    line.answer("one")
    assert Input.FINAL not in line.inputs
    line.answer("")
    assert line.inputs[-1] is Input.FINAL


def test_a_final_without_words_says_so() -> None:
    line = Line()
    line.say(0.4)
    line.hear(0.2)
    line.answer("")
    assert line.inputs[-1] is Input.FINAL_EMPTY


def test_what_comes_late_for_words_that_were_taken_is_ignored() -> None:
    line = Line()
    line.say(0.4)
    line.hear(0.2)
    line.answer("so far", final=False)
    assert line.listener.take_words().text == "so far"
    line.answer("so far and", final=False)
    line.answer("so far and more")
    assert line.listener.take_words().text == ""
    line.say(0.4)
    line.hear(0.2)
    line.answer("next")
    assert line.listener.take_words().text == "next"


def test_words_given_back_come_first() -> None:
    line = Line()
    line.say(0.4)
    line.hear(0.2)
    line.answer("one")
    began = line.listener.began
    taken = line.listener.take_words()
    line.listener.restore_words(taken, began)
    line.say(0.4)
    line.hear(0.2)
    line.answer("two")
    assert line.listener.began == began
    assert line.listener.take_words().text == "one two"


def test_lost_audio_moves_the_media_clock() -> None:
    line = Line()
    line.say(0.4)
    line.at += 8000  # a second is lost
    line.hear(0.2)
    line.say(0.4)
    assert line.inputs.count(Input.SPEECH_STARTED) == 2
    line.answer("x")
    line.listener.take_words()
    assert line.listener.ended > 1.8


async def test_closing_frees_the_stream() -> None:
    line = Line()
    await line.listener.close()
    assert line.stream.closed


def test_words_lie_where_they_were_said() -> None:
    line = Line()
    line.hear(1.0)
    line.say(0.5)
    line.hear(0.2)
    first = int(np.argmax(line.stream.samples(0) != 0))  # the sample of the segment at which speech begins
    line.answer("hello", RecognisedWord("hello", first, first + 4000, 0.7))
    (word,) = line.listener.take_words().words
    assert (word.text, word.started, word.ended, word.confidence) == ("hello", 1.0, 1.5, 0.7)


def test_audio_lost_within_a_segment_moves_the_words_after_it() -> None:
    line = Line()
    line.say(0.4)
    line.at += 800  # a tenth of a second is lost while the caller speaks
    line.say(0.4)
    line.hear(0.2)
    assert len(line.stream.segments) == 2
    line.answer("one two", RecognisedWord("one", 0, 3200), RecognisedWord("two", 3200, 6400))
    one, two = line.listener.take_words().words
    assert (one.started, one.ended) == (0.0, 0.4)
    assert (two.started, two.ended) == (0.5, 0.9)


def test_audio_lost_before_the_onset_moves_the_words_after_it() -> None:
    line = Line()
    line.hear(1.0)
    line.at += 800  # within what the recogniser is given of the time before the onset
    line.hear(0.1)
    line.say(0.4)
    line.hear(0.2)
    first = int(np.argmax(line.stream.samples(0) != 0))
    line.answer("so where", RecognisedWord("so", 0, first), RecognisedWord("where", first, first + 3200))
    so, where = line.listener.take_words().words
    assert so.ended == where.started == 1.2
    assert where.ended == 1.6
    assert so.started < 1.0


def test_words_of_segments_that_are_outstanding_together_lie_each_in_its_own() -> None:
    line = Line()
    line.hear(1.0)
    for _ in range(3):
        line.say(0.4)
        line.hear(0.6)
    firsts = [int(np.argmax(line.stream.samples(segment) != 0)) for segment in range(3)]
    for text, first in zip(("one", "two", "three"), firsts, strict=True):
        line.answer(text, RecognisedWord(text, first, first + 3200))
    assert [(word.text, word.started) for word in line.listener.take_words().words] == [
        ("one", 1.0),
        ("two", 2.0),
        ("three", 3.0),
    ]
