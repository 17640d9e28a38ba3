"""The caller's side of a conversation: frames to voice activity and recognition, and those to turn inputs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from app.engines.ports import (
    Expectation,
    Recogniser,
    RecognitionHints,
    Transcript,
    VoiceActivity,
    VoiceActivityDetector,
)
from app.voice.activity import Activity, ActivityGate
from app.voice.profile import TurnTaking
from app.voice.turn import Input
from telephony.events import AudioReceived
from telephony.media.frame import SAMPLE_RATE, Samples, silence

PRE_ROLL = SAMPLE_RATE * 3 // 10
"""Samples before a detected onset that the recogniser is given too: onsets are detected late."""

Report = Callable[[Input, float | None], None]


class Listener:
    """Hears one leg. Positions are samples of its media clock, times are seconds of ``clock``."""

    def __init__(
        self,
        detector: VoiceActivityDetector,
        recogniser: Recogniser,
        hints: RecognitionHints,
        timing: TurnTaking,
        clock: Callable[[], float],
        report: Report,
    ) -> None:
        self._gate = ActivityGate(timing)
        self._vad = detector.open(self._on_activity)
        self._stt = recogniser.open(hints, self._on_transcript)
        self._clock = clock
        self._report = report
        self._received = 0  # samples of the media clock so far
        self._arrived = clock()  # when the latest of them came
        self._recent: deque[tuple[int, Samples]] = deque()  # (position, samples), the last PRE_ROLL
        self._pushed = 0  # up to where the recogniser was given audio
        self._in_segment = False
        self._outstanding = 0  # finals asked for and not yet given
        self._ignored = 0  # of those, how many belong to words that were taken or discarded
        self._words: list[str] = []
        self._interim = ""
        self._began: int | None = None  # where the first speech of these words began
        self.final_asked: float | None = None
        self.final_at: float | None = None

    async def close(self) -> None:
        """Free the engines' streams."""
        self._vad.close()
        await self._stt.close()

    def hear(self, audio: AudioReceived) -> None:
        """Take caller audio. Lost audio is heard as silence."""
        lost = audio.at - self._received
        samples = audio.samples
        self._received = audio.at + len(samples)
        self._arrived = self._clock()
        if lost > 0:
            self._vad.push(silence(lost))
        if self._in_segment:
            self._push(audio.at, samples)
        self._recent.append((audio.at, samples))
        while self._recent[0][0] < self._received - PRE_ROLL - len(samples):
            self._recent.popleft()
        self._vad.push(samples)

    @property
    def began(self) -> float | None:
        """Where the caller's words began, in seconds of the media clock."""
        return None if self._began is None else self._began / SAMPLE_RATE

    @property
    def ended(self) -> float:
        """Where the caller last spoke, in seconds of the media clock."""
        return self._gate.last_speech / SAMPLE_RATE

    @property
    def silent_since(self) -> float:
        """When the caller last spoke, in seconds of the clock."""
        return self._time_of(self._gate.last_speech)

    def expect(self, expectation: Expectation | None) -> None:
        """What the caller was asked for."""
        self._stt.expect(expectation)

    def take_words(self) -> str:
        """The caller's words, for a reply; finals that are still to come belong to them."""
        text = self.peek_words()
        self.discard_words()
        return text

    def peek_words(self) -> str:
        """The caller's words so far, with the interim where a final is missing."""
        return " ".join([*self._words, self._interim]).strip()

    def discard_words(self) -> None:
        """Forget the words so far and those still to come for audio that was heard."""
        self._words.clear()
        self._interim = ""
        self._ignored = self._outstanding
        self._began = None

    def restore_words(self, text: str, began: float | None) -> None:
        """Words taken before turn out to be the beginning of what the caller says."""
        if text:
            self._words.insert(0, text)
        if began is not None:
            self._began = int(began * SAMPLE_RATE)

    def _on_activity(self, window: VoiceActivity) -> None:
        match self._gate.update(window):
            case Activity.STARTED:
                self._open_segment(self._gate.onset)
                self._report(Input.SPEECH_STARTED, None)
            case Activity.SUSTAINED:
                self._report(Input.SPEECH_SUSTAINED, None)
            case Activity.STOPPED:
                self._in_segment = False
                self._outstanding += 1
                self.final_asked, self.final_at = self._clock(), None
                self._stt.finish_segment()
                self._report(Input.SPEECH_STOPPED, self._time_of(self._gate.last_speech))
            case None:
                pass

    def _on_transcript(self, transcript: Transcript) -> None:
        if not transcript.final:
            if self._ignored and not self._in_segment:
                return  # of words that were taken or discarded
            self._interim = transcript.text
            if transcript.text:
                self._report(Input.WORDS, None)
            return
        self._outstanding -= 1
        if self._ignored:
            self._ignored -= 1
            return
        self._interim = ""
        if transcript.text:
            self._words.append(transcript.text)
        if self._outstanding == 0:
            self.final_at = self._clock()
            self._report(Input.FINAL if self._words else Input.FINAL_EMPTY, None)

    def _open_segment(self, onset: int) -> None:
        self._in_segment = True
        if self._began is None:
            self._began = onset
        start = max(self._pushed, onset - PRE_ROLL)
        for at, samples in self._recent:
            if at + len(samples) > start:
                skip = max(0, start - at)
                self._push(at + skip, samples[skip:])

    def _push(self, at: int, samples: Samples) -> None:
        self._stt.push(samples)
        self._pushed = at + len(samples)

    def _time_of(self, position: int) -> float:
        return self._arrived - (self._received - position) / SAMPLE_RATE
