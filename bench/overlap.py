"""Speech over the agent: does a cough stop it, does a person, and how soon? Over the wire, embedded engines.

    python -m bench.overlap --trials 100

Each trial is a call: the caller asks for the opening hours and, somewhere into the answer, makes a sound. The
same answer heard undisturbed says what an agent that resumed has lost or repeated.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import uvloop

from bench.load import Target
from bench.overlap_sounds import DRAWN_OUT, Sound, interrupting, not_interrupting
from bench.server import PrivateServer
from config.settings import ROOT
from telephony.media import g711
from telephony.media.frame import FRAME_SAMPLES, SAMPLE_RATE, Samples
from telephony.simulator.call import CallerFn
from telephony.simulator.caller import finished
from telephony.simulator.carrier import Carrier
from telephony.simulator.conditions import LineConditions
from telephony.simulator.heard import Utterance
from telephony.simulator.measure import Percentiles
from telephony.simulator.phone import Phone
from telephony.simulator.report import milliseconds, table
from telephony.simulator.speech import read_wav

QUESTION = ROOT / "demo" / "hours.wav"
FIRST, LAST = 0.8, 3.0  # seconds into the answer, between which the sound begins
DECIDED = 2.0  # seconds after the onset in which a clear belongs to the sound
SLOW = 0.5
PAUSED = 0.12
LISTEN = 15.0
PROBE = SAMPLE_RATE // 2


@dataclass(slots=True)
class Trial:
    """One sound and what became of it. Times are seconds after the sound's onset."""

    sound: Sound
    cleared: float | None = None
    fed_until: float | None = None  # the last audio that came within DECIDED of the onset, before a pause
    silent_after: float | None = None  # the agent's last audible sample before it was quiet
    displaced: float | None = None  # seconds of the answer lost (+) or repeated (-) when it went on
    said: Samples = field(default_factory=lambda: np.zeros(0, dtype=np.int16), repr=False)


async def measure(target: Target, sounds: list[Sound], at_once: int) -> list[Trial]:
    """A call for each sound."""
    question = Utterance.of(read_wav(QUESTION), "question")
    trials = [Trial(sound) for sound in sounds]
    places = random.Random(5)
    gate = asyncio.Semaphore(at_once)
    async with Carrier(target.url, target.account_sid, target.auth_token) as carrier:
        undisturbed = Trial(Sound("none", "", np.zeros(0, dtype=np.int16)))
        await carrier.place_call(_caller(undisturbed, question, 0.0))

        async def one(trial: Trial, into: float) -> None:
            async with gate:
                conditions = LineConditions(echo=trial.sound.echo, noise=-60.0)
                await carrier.place_call(_caller(trial, question, into), conditions=conditions)

        async with asyncio.TaskGroup() as calls:
            for trial in trials:
                calls.create_task(one(trial, places.uniform(FIRST, LAST)))
    for trial in trials:
        if trial.cleared is None:
            trial.displaced = displacement(trial.said, undisturbed.said)
    return trials


def _caller(trial: Trial, question: Utterance, into: float) -> CallerFn:
    async def caller(phone: Phone) -> None:
        await phone.until(finished(phone, 0.0, 1.0), LISTEN)
        asked = await phone.say(question)
        await phone.until(lambda now: phone.agent_began(asked.end) is not None, LISTEN)
        began = phone.agent_began(asked.end)
        if began is None:
            phone.note("no answer")
            return
        await phone.until(lambda now: now >= began + into)
        await _disturb(phone, trial)
        await phone.until(finished(phone, phone.now, 1.5), LISTEN)
        pieces = [
            g711.decode(piece.payload)
            for piece in phone.playout.played(phone.now)
            if piece.start >= began * SAMPLE_RATE - 1
        ]
        trial.said = np.concatenate(pieces) if pieces else trial.said

    return caller


async def _disturb(phone: Phone, trial: Trial) -> None:
    """Make the sound, and watch for ``DECIDED`` seconds what comes, a frame at a time."""
    sound = trial.sound
    onset = phone.now
    if sound.samples.any():
        utterance = Utterance.of(sound.samples, sound.text)
        onset = phone.speak(utterance).onset
    fed = [(phone.now, phone.counts().samples_received)]
    clears = len(phone.clears)
    while phone.now < onset + DECIDED:
        await phone.wait(0.02)
        fed.append((phone.now, phone.counts().samples_received))
    if len(phone.clears) > clears:
        trial.cleared = phone.clears[clears] - onset
        before = [
            now
            for (now, count), (_, last) in zip(fed[1:], fed, strict=False)
            if count - last > FRAME_SAMPLES and now < phone.clears[clears]
        ]
        trial.fed_until = max(0.0, max(before, default=onset) - onset)
        last = phone.playout.last_heard(onset + trial.cleared + 0.1)
        trial.silent_after = None if last is None else max(0.0, last - onset)


def displacement(said: Samples, undisturbed: Samples) -> float | None:
    """Seconds by which the end of what was said lies elsewhere than in the undisturbed answer."""
    if len(said) < 3 * PROBE or len(undisturbed) < 3 * PROBE:
        return None
    end = min(len(said), len(undisturbed)) - PROBE
    probe = said[end - PROBE : end].astype(np.float64)
    reach = SAMPLE_RATE
    begin = max(0, end - PROBE - reach)
    reference = undisturbed[begin : end + reach].astype(np.float64)
    found = int(np.correlate(reference, probe, "valid").argmax()) + begin
    return (found - (end - PROBE)) / SAMPLE_RATE


def report(trials: list[Trial]) -> str:
    """A table by kind of sound, and the latencies of the interruptions."""
    rows = []
    for kind in dict.fromkeys(trial.sound.kind for trial in trials):
        of_kind = [trial for trial in trials if trial.sound.kind == kind]
        cleared = [trial for trial in of_kind if trial.cleared is not None]
        moved = [abs(trial.displaced) for trial in of_kind if trial.displaced is not None]
        rows.append((kind, str(len(of_kind)), str(len(cleared)), milliseconds(max(moved)) if moved else "-"))
    lines = [table(("sound", "trials", "cleared", "most lost or repeated ms"), rows)]
    people = [trial for trial in trials if trial.sound.interrupts]
    latencies = (
        ("onset to clear", [trial.cleared for trial in people if trial.cleared is not None]),
        ("onset to last audio fed", [trial.fed_until for trial in people if trial.fed_until is not None]),
        (
            "onset to silence at the ear",
            [trial.silent_after for trial in people if trial.silent_after is not None],
        ),
    )
    times = [_latency(name, Percentiles.of(values)) for name, values in latencies]
    lines.append(table(("interruptions, ms", "trials", "p50", "p95", "max"), times))
    paused = sum(trial.fed_until is not None and trial.fed_until <= PAUSED for trial in people)
    lines.append(f"nothing was fed from {PAUSED * 1000:.0f} ms after the onset on: {paused} of {len(people)}")
    wrong = [trial for trial in trials if (trial.cleared is not None) != trial.sound.interrupts]
    slow = [trial for trial in people if trial.cleared is not None and trial.cleared > SLOW]
    lines.append("\n".join(f"wrong: {_line(trial)}" for trial in wrong))
    lines.append("\n".join(f"slow: {_line(trial)}, cleared after {trial.cleared:.2f} s" for trial in slow))
    return "\n\n".join(lines)


def _line(trial: Trial) -> str:
    sound = trial.sound
    return f"{sound.kind} {sound.text!r}, {len(sound.samples) / SAMPLE_RATE:.2f} s"


def _latency(name: str, found: Percentiles | None) -> tuple[str, ...]:
    if found is None:
        return (name, "0", "-", "-", "-")
    times = (found.p50, found.p95, found.longest)
    return (name, str(found.count), *(milliseconds(seconds) for seconds in times))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.overlap", description="Speech over the agent.")
    parser.add_argument("--trials", type=int, default=100, help="of each: sounds, and interruptions")
    parser.add_argument("--at-once", type=int, default=4, help="calls at the same time")
    options = parser.parse_args(arguments)

    async def run(target: Target) -> list[Trial]:
        sounds = await not_interrupting(options.trials) + await interrupting(options.trials)
        return await measure(target, sounds, options.at_once)

    with PrivateServer(profile="embedded") as server:
        trials = uvloop.run(run(Target(server.webhook, server.account_sid, server.auth_token)))
    print(report(trials))
    sounds = [trial for trial in trials if not trial.sound.interrupts and trial.sound.kind != DRAWN_OUT]
    people = [trial for trial in trials if trial.sound.interrupts]
    stopped = sum(trial.cleared is not None for trial in sounds)
    missed = sum(trial.cleared is None for trial in people)
    return 1 if stopped > 0.05 * len(sounds) or missed > 0.03 * len(people) else 0


if __name__ == "__main__":
    raise SystemExit(main())
