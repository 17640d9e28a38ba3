"""What a caller of the load test does: speak, wait for the reply, listen, sometimes barge in."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np

from telephony.media.frame import Samples
from telephony.simulator.call import CallerFn
from telephony.simulator.caller import finished
from telephony.simulator.heard import Spoken, Utterance
from telephony.simulator.phone import Phone
from telephony.simulator.speech import read_wav

AUDIO = Path(__file__).parent / "audio"
PAUSE = 0.8  # seconds of the agent's silence after which a caller speaks again
TALKING = 0.3  # seconds since the agent was last heard in which it still counts as talking


@dataclass(frozen=True, slots=True)
class Habits:
    """How callers talk; seconds.

    Every ``barge_every``-th turn barges in, ``barge_after`` after the reply began (0: never). A caller
    waits ``patience`` for a reply and listens for ``listen`` at most. ``together`` makes all callers of a
    round begin their turns at the same time, ``cycle`` apart. ``noise`` is the level in dBFS of noise on
    the caller's line; None: none, and digital silence costs the server less.
    """

    barge_every: int = 3
    barge_after: float = 1.5
    patience: float = 15.0
    listen: float = 15.0
    together: bool = False
    cycle: float = 14.0
    noise: float | None = -55.0


@dataclass(slots=True)
class Measurements:
    """What all callers of a round measured, in seconds, between ``begin`` and ``end`` of perf_counter."""

    begin: float
    end: float
    responses: list[float] = field(default_factory=list)
    barge_ins: list[float] = field(default_factory=list)
    talked_over: list[float] = field(default_factory=list)
    unanswered: int = 0
    uncleared: int = 0
    cut_off: int = 0

    def counts(self, phone: Phone, at: float) -> bool:
        """Whether a moment on a phone's line is inside the measured time."""
        return self.begin <= phone.origin + at <= self.end


def utterances(noise: float | None = None) -> list[Utterance]:
    """The caller's three sentences, with noise of a level in dBFS on the line."""
    names = ("where", "when", "wait")
    return [Utterance.of(_noisy(read_wav(AUDIO / f"{name}.wav"), noise), name) for name in names]


def _noisy(samples: Samples, level: float | None) -> Samples:
    """Speech with the line's noise under it: noise in the pauses alone holds the detector 0.15 s longer."""
    if level is None:
        return samples
    noise = np.random.default_rng(2).normal(0.0, 32768 * 10 ** (level / 20), len(samples))
    return np.clip(samples + noise, -32768, 32767).astype(np.int16)


def talker(index: int, said: list[Utterance], habits: Habits, results: Measurements) -> CallerFn:
    """The ``index``-th caller of a round; talks until the round ends, then hangs up."""

    async def caller(phone: Phone) -> None:
        await _Talk(index, phone, said, habits, results).run()

    return caller


class _Talk:
    def __init__(
        self, index: int, phone: Phone, said: list[Utterance], habits: Habits, results: Measurements
    ) -> None:
        self._random = random.Random(index)
        self._turn = index  # so that callers do not all barge in on the same turn
        self._phone = phone
        self._said = said
        self._habits = habits
        self._results = results
        self._over: Spoken | None = None  # an utterance that barged in and is still to be answered

    async def run(self) -> None:
        await self._phone.wait(0.5 if self._habits.together else self._random.uniform(0.3, 2.3))
        while perf_counter() < self._results.end:
            await self._one_turn()
            self._phone.playout.forget(self._phone.now - 1.0)
            self._phone.events.clear()
            del self._phone.spoken[:-1]

    async def _one_turn(self) -> None:
        phone, habits, results = self._phone, self._habits, self._results
        if self._over is not None:
            spoken, self._over = self._over, None
        else:
            if habits.together:
                await self._next_beat()
            spoken = await phone.say(self._random.choice(self._said))
        self._turn += 1
        answered = await phone.until(
            lambda now: phone.playout.first_heard(spoken.end, now) is not None, habits.patience
        )
        began = phone.agent_began(spoken.end)
        if not answered or began is None:
            results.unanswered += results.counts(phone, spoken.end)
            return
        if results.counts(phone, spoken.end):
            results.responses.append(began - spoken.end)
        if habits.barge_every and self._turn % habits.barge_every == 0:
            await self._barge_in(began)
        else:
            await phone.until(finished(phone, spoken.end, PAUSE), habits.listen)

    async def _barge_in(self, began: float) -> None:
        phone, results = self._phone, self._results
        await phone.wait(max(0.0, began + self._habits.barge_after - phone.now))
        cleared = len(phone.clears)
        over = await phone.say(self._random.choice(self._said))
        last = phone.playout.last_heard(over.onset)
        talking = last is not None and over.onset - last < TALKING
        if talking and results.counts(phone, over.onset):
            after = [at for at in phone.clears[cleared:] if at >= over.onset]
            if after:
                results.barge_ins.append(after[0] - over.onset)
                last = phone.playout.last_heard(over.end)
                results.talked_over.append(max(0.0, (last or 0.0) - over.onset))
            else:
                results.uncleared += 1
        self._over = over

    async def _next_beat(self) -> None:
        cycle = self._habits.cycle
        now = perf_counter()
        beat = self._results.begin + cycle * (1 + (now - self._results.begin) // cycle)
        await self._phone.wait(beat - now)
