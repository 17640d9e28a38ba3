"""Where the product hears silence in a trial, and what it knows of the turn by then."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.engines.ports import VoiceActivity
from app.engines.stt.domain import build_domain, read_pronunciations
from app.engines.stt.pocketsphinx_decoder import Ear, dictionary_path
from app.engines.turn.smart_turn import SmartTurn
from app.engines.vad.silero import WINDOW, SileroVad
from app.voice.activity import Activity, ActivityGate
from app.voice.profile import TurnTaking
from bench.pauses import Trial
from telephony.media.frame import SAMPLE_RATE

_PRE_ROLL = SAMPLE_RATE * 3 // 10  # that the recogniser is given before an onset, as in a call
_RESUMED_LATE = SAMPLE_RATE // 10  # an onset is noticed up to so long after a pause ends


@dataclass(frozen=True, slots=True, eq=False)
class Silence:
    """A stretch without speech; all in samples. ``began``: where the speech before it began; ``since``: where
    it ended; ``noticed``: when that was known; ``resumed``: when speech was heard again."""

    trial: Trial
    began: int
    since: int
    noticed: int
    resumed: int | None

    @property
    def written(self) -> str:
        """What was said before it, with punctuation."""
        return self.trial.written(self.since)

    @property
    def at_end(self) -> bool:
        """Whether all was said."""
        return self.written == self.trial.written(len(self.trial.samples))

    @property
    def put_in(self) -> bool:
        """Whether it is one of the pauses put in."""
        return any(start < self.noticed <= end + _RESUMED_LATE for start, end in self.trial.pauses)

    def decided(self, wait: float) -> float:
        """The sample at which a wait of so many seconds ends."""
        return max(self.noticed, self.since + wait * SAMPLE_RATE)

    def outlasts(self, wait: float) -> bool:
        """Whether such a wait ends before the speech goes on."""
        return self.resumed is None or self.decided(wait) < self.resumed


async def hear(trials: Sequence[Trial]) -> list[list[Silence]]:
    """The silences of each trial, by the product's detector and gate."""
    detector = SileroVad()
    await detector.start()
    windows = await asyncio.gather(*(_windows(detector, trial) for trial in trials))
    await detector.close()
    return [_silences(trial, heard) for trial, heard in zip(trials, windows, strict=True)]


async def _windows(detector: SileroVad, trial: Trial) -> list[VoiceActivity]:
    windows: list[VoiceActivity] = []
    all_heard = asyncio.Event()

    def take(window: VoiceActivity) -> None:
        windows.append(window)
        if window.end + WINDOW > len(trial.samples):
            all_heard.set()

    detector.open(take).push(trial.samples)
    await all_heard.wait()
    return windows


def _silences(trial: Trial, windows: Sequence[VoiceActivity]) -> list[Silence]:
    timing = TurnTaking()
    gate = ActivityGate(timing.pause_seconds)
    changes = [
        (change, window.end, gate.onset, gate.last_speech)
        for window in windows
        if (change := gate.update(window.end, speech=window.probability >= timing.vad_threshold))
    ]
    return [
        Silence(trial, began, since, noticed, after[1] if after else None)
        for (change, noticed, began, since), after in zip(changes, [*changes[1:], None], strict=True)
        if change is Activity.STOPPED
    ]


async def intonations(heard: Sequence[Sequence[Silence]], model: Path) -> dict[Silence, float]:
    """How complete the turn sounds when each silence is noticed, by Smart Turn."""
    detector = SmartTurn(model)
    await detector.start()
    found = {
        silence: await detector.complete(silence.trial.samples[: silence.noticed])
        for silences in heard
        for silence in silences
    }
    await detector.close()
    return found


def recognised(heard: Sequence[Sequence[Silence]], phrases: Sequence[str]) -> dict[Silence, str]:
    """The turn's words at each silence by the embedded recogniser, whose domain is these phrases."""
    with dictionary_path().open(encoding="utf-8") as lines:
        domain = build_domain(phrases, read_pronunciations(lines))
    found: dict[Silence, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        dictionary, model = Path(folder, "domain.dict"), Path(folder, "domain.arpa")
        dictionary.write_text(domain.dictionary, encoding="utf-8")
        model.write_text(domain.arpa, encoding="utf-8")
        ear = Ear(dictionary, model)
        for silences in heard:
            ear.reset()
            words: list[str] = []
            for silence in silences:
                words.append(_recognise(ear, silence))
                found[silence] = " ".join(words).strip()
    return found


def _recognise(ear: Ear, silence: Silence) -> str:
    expected = silence.trial.utterance.expected
    if expected is not None and expected.length is not None:
        ear.expect(expected.length)
    ear.hear(silence.trial.samples[max(0, silence.began - _PRE_ROLL) : silence.noticed])
    return ear.finish()[0]
