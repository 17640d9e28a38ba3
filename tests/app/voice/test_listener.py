from __future__ import annotations

import numpy as np

from app.engines.ports import Expectation, RecognitionHints, Transcript
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
                backchannel=self.backchannels.append,
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

    def answer(self, text: str, *, final: bool = True) -> None:
        self.recogniser.sink(Transcript(text, final))  # type: ignore[operator]

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
    assert line.listener.take_words() == "one two three four"
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
    assert line.listener.take_words() == "so far"
    line.answer("so far and", final=False)
    line.answer("so far and more")
    assert line.listener.take_words() == ""
    line.say(0.4)
    line.hear(0.2)
    line.answer("next")
    assert line.listener.take_words() == "next"


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
    assert line.listener.take_words() == "one two"


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
