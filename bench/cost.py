"""What turn-taking costs: microseconds a frame of 20 ms, the pure modules alone, and resampling.

python -m bench.cost
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

from app.engines.ports import Transcript
from app.voice.activity import ActivityGate, SoundOnset
from app.voice.chunker import Chunker
from app.voice.echo import PROBE, EchoMatcher
from app.voice.endpointing import Endpointer
from app.voice.feed import Feed
from app.voice.language import language_of
from app.voice.overlap import Evidence, judge
from app.voice.playout import Playout
from app.voice.profile import Endpointing, Overlap, TurnTaking
from app.voice.speakable import speakable
from app.voice.turn import Input, TurnMachine
from app.voice.words import CallerWords
from telephony.media.frame import FRAME_SAMPLES, SAMPLE_RATE
from telephony.media.resample import Resampler
from telephony.simulator.report import table

_OVERLAP = "over the agent"
_RATES = "resampling"
_ROUNDS = 2000
_TEXT = "i would like to know where my parcel is and when it will come because i am"
_REPLY = "Your parcel has left our centre and will be with you tomorrow before 5 p.m. "


def costs() -> list[tuple[str, float, float]]:
    """Each step with its microseconds, and how often it is done a frame while that side speaks."""
    random = np.random.default_rng(0)
    frame = random.normal(0, 2000, FRAME_SAMPLES).astype(np.int16)
    line = random.normal(0, 2000, PROBE).astype(np.int16)
    sound, gate, machine = SoundOnset(), ActivityGate(0.12), TurnMachine(TurnTaking())
    machine.start(0.0)
    endpointer, words = Endpointer(Endpointing(), "en-US"), CallerWords()
    interim = Transcript(_TEXT, final=False)
    evidence = Evidence(0.3, 0.3, True, guess=_TEXT, agent_text=_REPLY)
    settings, english = Overlap(), language_of("en-US")
    echo = EchoMatcher()
    for number in range(20):
        echo.play(random.normal(0, 2000, 5 * FRAME_SAMPLES).astype(np.int16), number / 10)
    feed, playout = Feed(), Playout(1)
    chunker = Chunker()
    ends = iter(range(10**9))

    up, down = Resampler(SAMPLE_RATE, 2 * SAMPLE_RATE), Resampler(3 * SAMPLE_RATE, SAMPLE_RATE)
    voice = np.tile(frame, 3)  # 20 ms at 24 kHz

    def speak() -> None:
        feed.add(frame)
        playout.add_sent(len(feed.take(FRAME_SAMPLES)), 0.0)
        playout.lead(0.0)

    return [
        ("sound: onset of anything", _time(lambda: sound.update(frame, 0)), 1.0),
        ("activity: gate, a window", _time(lambda: gate.update(256 * next(ends), speech=True)), 0.63),
        ("turn: one input", _time(lambda: machine.handle(Input.WORDS, 1.0)), 0.3),
        ("words, stabilizer: an interim", _time(lambda: words.hear(interim, 0.0, in_segment=True)), 0.1),
        ("endpointing: a wait", _time(lambda: endpointer.wait(_TEXT)), 0.1),
        ("feed and playout: a frame out", _time(speak), 1.0),
        ("chunker: a token", _time(lambda: _chunk(chunker)), 0.5),
        ("speakable: a phrase", _time(lambda: speakable(_REPLY, "en-US")), 0.01),
        (f"{_OVERLAP}: a judgement", _time(lambda: judge(evidence, settings, english)), 0.63),
        (f"{_OVERLAP}: likeness to the agent", _time(lambda: echo.likeness(line, 2.0), 200), 0.2),
        (f"{_RATES}: a frame from 8 to 16 kHz", _time(lambda: up.push(frame)), 1.0),
        (f"{_RATES}: a frame from 24 to 8 kHz", _time(lambda: down.push(voice)), 1.0),
    ]


def _chunk(chunker: Chunker) -> None:
    chunker.feed(" tok", 0.0)


def _time(step: Callable[[], object], rounds: int = _ROUNDS) -> float:
    """Microseconds, the best of five: what it costs, not what else the machine did."""
    best = float("inf")
    for _ in range(5):
        began = perf_counter()
        for _ in range(rounds):
            step()
        best = min(best, perf_counter() - began)
    return best / rounds * 1e6


def main() -> int:
    """Print the table; the exit status is 1 when a frame costs more than 20 us."""
    measured = costs()
    rows = [(name, f"{each:.1f}", f"{each * often:.1f}") for name, each, often in measured]
    everything = sum(
        each * often for name, each, often in measured if not name.startswith((_OVERLAP, _RATES))
    )
    print(table(("step", "us each", "us a frame"), rows))
    print(
        f"\nboth sides at once: {everything:.1f} us a frame; over the agent, for 0.5 s at most, more; "
        "resampling, where an engine has another rate, besides"
    )
    return 1 if everything > 20 else 0


if __name__ == "__main__":
    raise SystemExit(main())
