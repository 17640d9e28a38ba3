"""The caller's side of a conversation: frames to voice activity and recognition, and those to turn inputs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from app.engines.ports import (
    UNCLEAR,
    Expectation,
    Recogniser,
    RecognitionHints,
    Transcript,
    VoiceActivity,
    VoiceActivityDetector,
)
from app.metrics import ECHOES, FINALS_LOST
from app.voice.activity import Activity, ActivityGate, SoundOnset
from app.voice.echo import PROBE, EchoMatcher
from app.voice.events import Backchannel
from app.voice.language import language_of
from app.voice.overlap import Evidence, Verdict, judge
from app.voice.profile import OverlapAction, TurnTaking
from app.voice.said import Said
from app.voice.segment_clock import SegmentClock
from app.voice.turn import Input
from app.voice.words import CallerWords, Heard
from telephony.events import AudioReceived
from telephony.media.frame import SAMPLE_RATE, Samples, silence
from telephony.media.level import rms_dbov

PRE_ROLL = SAMPLE_RATE * 3 // 10
"""Samples before a detected onset that the recogniser is given too: onsets are detected late."""

_LEVEL_SAMPLES = 256  # the detector's window
_SOUND_BEFORE = SAMPLE_RATE // 4  # samples by which a sound may begin before it is known to be speech
_PROBE_EVERY = SAMPLE_RATE // 10
_SAME_STRETCH = SAMPLE_RATE // 2  # samples of a gap inside speech that goes on: "sorry, where is it"
_GOES_ON = {OverlapAction.DUCK_AND_CONTINUE, OverlapAction.IGNORE}

Report = Callable[[Input, float | None], None]


@dataclass(frozen=True, slots=True)
class Listening:
    """What a listener asks of the session: reports of inputs, what the agent says, where backchannels go.

    A backchannel comes with its words.
    """

    clock: Callable[[], float]
    report: Report
    agent_text: Callable[[], str]
    backchannel: Callable[[Backchannel, Said], None]


@dataclass(slots=True)
class _Overlap:
    """One stretch of speech over the agent."""

    onset: int
    judged: bool = False  # the agent was told to go on
    echo: float = 0.0
    probed: int = 0  # up to where it was compared with the agent's audio


class Listener:
    """Hears one leg. Positions are samples of its media clock, times are seconds of ``clock``."""

    def __init__(
        self,
        detector: VoiceActivityDetector,
        recogniser: Recogniser,
        hints: RecognitionHints,
        timing: TurnTaking,
        echo: EchoMatcher,
        session: Listening,
    ) -> None:
        self._timing = timing
        self._language = language_of(hints.language)
        self._gate = ActivityGate(timing.pause_seconds)
        self._sound = SoundOnset()
        self._vad = detector.open(self._on_activity)
        self._stt = recogniser.open(hints, self._on_transcript)
        self._echo = echo
        self._session = session
        self._received = 0  # samples of the media clock so far
        self._arrived = session.clock()  # when the latest of them came
        self._recent: deque[tuple[int, Samples]] = deque()  # (position, samples), the last PRE_ROLL
        self._given = SegmentClock()  # the recogniser's audio
        self._in_segment = False
        self._held = False  # what is heard is the agent's own echo, so far
        self._agent_talks = False
        self._overlap: _Overlap | None = None
        self._before: tuple[int, int] | None = None  # onset and end of the last one that was nothing
        self._began: int | None = None  # where the first speech of these words began
        self.words = CallerWords()
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
        self._arrived = self._session.clock()
        if lost > 0:
            self._vad.push(silence(lost))
        if self._sound.update(samples, audio.at) and self._agent_talks:
            self._session.report(Input.SOUND, None)
        if self._in_segment:
            self._push(audio.at, samples)
        self._recent.append((audio.at, samples))
        while self._recent[0][0] < self._received - PRE_ROLL - len(samples):
            self._recent.popleft()
        self._vad.push(samples)

    def heed(self, *, agent_talks: bool) -> None:
        """The agent began or ended its turn. Once it has ended, speech over it was the caller's next turn."""
        self._agent_talks = agent_talks
        if not agent_talks and self._overlap is not None:
            self._overlap = None
            self._report_words()

    @property
    def began(self) -> float | None:
        """Where the caller's words began, in seconds of the media clock."""
        return None if self._began is None else self._began / SAMPLE_RATE

    def media_time(self, at: float) -> float:
        """Where the leg's media clock is, or was, at a time of ``clock``; both in seconds."""
        return max(0.0, self._received / SAMPLE_RATE + at - self._arrived)

    @property
    def ended(self) -> float:
        """Where the caller last spoke, in seconds of the media clock."""
        return self._gate.last_speech / SAMPLE_RATE

    @property
    def silent_since(self) -> float:
        """When the caller last spoke, in seconds of the clock."""
        return self._time_of(self._gate.last_speech)

    @property
    def since_onset(self) -> float:
        """From the last onset of speech to the latest audio."""
        return (self._received - self._gate.onset) / SAMPLE_RATE

    def expect(self, expectation: Expectation | None) -> None:
        """What the caller was asked for."""
        self._stt.expect(expectation)

    def take_words(self) -> Said:
        """The caller's words, for a reply; finals that are still to come belong to them."""
        self._began = None
        return self.words.take()

    def restore_words(self, said: Said, began: float | None) -> None:
        """Words taken before turn out to be the beginning of what the caller says."""
        self.words.restore(said)
        if began is not None:
            self._began = int(began * SAMPLE_RATE)

    # Voice activity

    def _on_activity(self, window: VoiceActivity) -> None:
        speech = self._is_speech(window)
        change = self._gate.update(window.end, speech=speech)
        if change is Activity.STOPPED:
            self._stopped()
        elif change is Activity.STARTED or (self._held and speech):
            self._started(self._gate.onset if change else window.end - _LEVEL_SAMPLES)
        if self._overlap is not None:
            if speech and window.end - self._overlap.probed >= _PROBE_EVERY:
                self._overlap.probed = window.end
                self._overlap.echo = self._likeness(window.end)
            self._judge(self._overlap, window.end)

    def _is_speech(self, window: VoiceActivity) -> bool:
        if not self._agent_talks:
            return window.probability >= self._timing.vad_threshold
        overlap = self._timing.overlap
        if window.probability < overlap.vad_threshold:
            return False
        return rms_dbov(self._tail(window.end, _LEVEL_SAMPLES)) >= overlap.floor_dbfs

    def _started(self, onset: int) -> None:
        """Speech began, or what was taken for echo no longer is."""
        was_held = self._held
        self._held = self._likeness(self._gate.last_speech) >= self._timing.overlap.echo_likeness
        if self._held:
            if not was_held:
                ECHOES.inc()
            return
        self._open_segment(onset)
        if self._agent_talks and self._overlap is None:
            self._overlap = _Overlap(self._onset_of_overlap(onset))
        self._session.report(Input.SPEECH_STARTED, None)

    def _onset_of_overlap(self, onset: int) -> int:
        """Where speech over the agent began: with the sound before it was known to be speech, or with the
        stretch shortly before it that was judged to be nothing."""
        begun = min(onset, self._sound.began) if onset - self._sound.began < _SOUND_BEFORE else onset
        before, self._before = self._before, None
        if before is not None and begun - before[1] < _SAME_STRETCH:
            begun = before[0]
        return begun

    def _stopped(self) -> None:
        if self._held:
            self._held = False
            return
        self._in_segment = False
        self.words.finish_segment(self._session.clock(), self._given.finish())
        self.final_asked, self.final_at = self._session.clock(), None
        self._stt.finish_segment()
        self._session.report(Input.SPEECH_STOPPED, self.silent_since)

    def _likeness(self, until: int) -> float:
        return self._echo.likeness(self._tail(until, PROBE), self._time_of(until))

    # Speech over the agent

    def _judge(self, overlap: _Overlap, now: int) -> None:
        talking = self._gate.speaking
        settled = not talking and self.words.complete
        settings = self._timing.overlap
        verdict = judge(
            Evidence(
                spoken=(self._gate.last_speech - overlap.onset) / SAMPLE_RATE,
                since=(now - overlap.onset) / SAMPLE_RATE,
                talking=talking,
                text=self.words.text if settled else self.words.settled,
                guess=self.words.text,
                final=settled,
                echo=overlap.echo,
                agent_text=self._session.agent_text(),
            ),
            settings,
            self._language,
        )
        if verdict is Verdict.ECHO and talking:
            overlap.onset = self._gate.last_speech  # what is no echo begins after it
        if settings.action in _GOES_ON:
            self._overhear(verdict, settled=settled)
        elif verdict is Verdict.INTERRUPTION:
            self._overlap = None
            self._session.report(Input.INTERRUPTED, None if talking else self.silent_since)
            self._report_words()
        elif verdict is not None:
            if not overlap.judged:
                overlap.judged = True
                self._session.report(Input.BACKCHANNEL, None)
            if settled:
                self._settle(verdict)

    def _overhear(self, verdict: Verdict | None, *, settled: bool) -> None:
        """The agent goes on whatever is said; words that matter are answered afterwards, unless ignored."""
        if not settled or verdict is None:
            return
        if verdict is Verdict.INTERRUPTION and self._timing.overlap.action is OverlapAction.DUCK_AND_CONTINUE:
            self._overlap = None
            self._report_words()
        else:
            self._settle(verdict)

    def _settle(self, verdict: Verdict) -> None:
        """Nothing more comes of what did not take the floor."""
        at = self.began
        if self._overlap is not None:
            self._before = (self._overlap.onset, self._gate.last_speech)
        said = self.take_words()
        self._overlap = None
        heard = Backchannel(said.text, str(verdict), at or self.ended, self.ended)
        self._session.backchannel(heard, said)

    def _report_words(self) -> None:
        if not self.words.complete:
            if self.words.text:
                self._session.report(Input.WORDS, None)
        else:
            self._session.report(Input.FINAL if self.words.text else Input.FINAL_EMPTY, None)

    # Recognition

    def _on_transcript(self, transcript: Transcript) -> None:
        lost = self.words.lost
        if transcript.lost:
            FINALS_LOST.inc()
            transcript = replace(transcript, text=UNCLEAR)  # it was speech: the agent asks again
        heard = self.words.hear(transcript, self._session.clock(), in_segment=self._in_segment)
        FINALS_LOST.inc(self.words.lost - lost)
        if heard is Heard.NOTHING:
            return
        if heard is Heard.FINAL:
            self.final_at = self._session.clock()
        if self._overlap is not None:
            self._judge(self._overlap, self._received)
        elif heard is not Heard.PART:
            self._report_words()

    def _open_segment(self, onset: int) -> None:
        self._in_segment = True
        if self._began is None:
            self._began = onset
        start = max(self._given.end, onset - PRE_ROLL)
        for at, samples in self._recent:
            if at + len(samples) > start:
                skip = max(0, start - at)
                self._push(at + skip, samples[skip:])

    def _push(self, at: int, samples: Samples) -> None:
        self._stt.push(samples)
        self._given.push(at, len(samples))

    def _tail(self, end: int, count: int) -> Samples:
        """The ``count`` samples before position ``end``, as far as they are kept."""
        parts = [
            samples[max(0, end - count - at) : max(0, end - at)]
            for at, samples in self._recent
            if at < end and at + len(samples) > end - count
        ]
        return np.concatenate(parts) if parts else silence(0)

    def _time_of(self, position: int) -> float:
        return self._arrived - (self._received - position) / SAMPLE_RATE
