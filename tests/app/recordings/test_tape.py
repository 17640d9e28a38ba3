"""A whole call on tape: ten minutes in virtual time, refusals, pauses, faults, and what it costs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from app.recordings.blocks import AGENT, CALLER, Block
from app.recordings.shifts import heard
from app.recordings.tape import Tape, Taped
from telephony.errors import HangupCause
from telephony.events import AudioReceived, DtmfReceived, HungUp, LegEvent, MarkPlayed
from telephony.media.frame import FRAME_SAMPLES, SAMPLE_RATE, Samples, silence
from telephony.ports import CallLeg
from tests.app.recordings.recorded import MemorySink, noise, place_of
from tests.fakes.clock import run_virtual
from tests.fakes.leg import FakeLeg

TWENTY_MS = SAMPLE_RATE // 50


def record(
    held: Callable[[FakeLeg, Tape], Awaitable[None]], *, begin: bool = True, sink: MemorySink | None = None
) -> tuple[MemorySink, list[Taped], list[LegEvent]]:
    """A call in virtual time; ``held`` is what happens in it."""
    sink, results, events = sink or MemorySink(), list[Taped](), list[LegEvent]()

    async def run() -> None:
        leg = FakeLeg()
        tape = Tape(leg, sink.open, asyncio.get_running_loop().time, results.append)
        if begin:
            tape.begin()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(tape.run(events.append))
            await asyncio.sleep(0)
            await held(leg, tape)
            tape.hang_up(HangupCause.CALLER)
            await running

    run_virtual(run())
    return sink, results, events


class JitteryLeg(FakeLeg):
    """Sends each frame up to 60 ms late, loses one of a hundred, and falls silent for a while."""

    async def talk(self, seconds: float, line: Samples, chance: random.Random) -> None:
        begin, last = self._loop.time(), 0.0
        for index in range(round(seconds * 50)):
            at = index * FRAME_SAMPLES
            spoken = begin + (index + 1) * 0.02
            last = max(last, spoken + chance.uniform(0, 0.06))
            await asyncio.sleep(max(0.0, last - self._loop.time()))
            muted = 300 <= index / 50 < 307
            if chance.random() >= 0.01 and not muted:
                self.report(AudioReceived(line[at : at + FRAME_SAMPLES], at))


TURNS = [(20 * turn + 3, 20 * turn + 11) for turn in range(29)]
"""Seconds at which the caller and the agent begin to speak."""


async def _agent_of_ten_minutes(leg: JitteryLeg, tape: Tape) -> None:
    """Speaks 29 times, is interrupted in a third of them, and pauses the recording four times."""
    for turn, (_, at) in enumerate(TURNS):
        await asyncio.sleep(at - leg.now)
        audio = np.concatenate((noise(0.5, at), noise(2.5, 1000 + at)))
        for index in range(0, len(audio), 800):
            tape.play(audio[index : index + 800])
            if index % 3200 == 2400:
                tape.mark(f"{turn}.{index}")
            await asyncio.sleep(0.1 if index > 2400 else 0.0)
            if turn % 3 == 1 and index >= 16_000:
                tape.clear()
                break
        if turn % 7 == 3:
            tape.pause()
            await asyncio.sleep(1.5)
            tape.resume()


async def _ten_minutes(sink: MemorySink) -> tuple[Taped, float, Samples]:
    """The result, how long the call was, and what the caller heard of it."""
    line = silence(600 * SAMPLE_RATE)
    for caller, _ in TURNS:
        line[caller * SAMPLE_RATE :][: SAMPLE_RATE // 2] = noise(0.5, caller)
    results, leg, clock = list[Taped](), JitteryLeg(), asyncio.get_running_loop().time
    tape = Tape(leg, sink.open, clock, results.append)
    tape.begin()
    began = clock()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(tape.run(lambda event: None))
        await asyncio.sleep(0)
        speaking = tasks.create_task(_agent_of_ten_minutes(leg, tape))
        await leg.talk(600, line, random.Random(1))
        await speaking
        tape.hang_up(HangupCause.CALLER)
        await running
    (taped,), seconds = results, clock() - began
    return taped, seconds, leg.playout.samples(seconds)


def test_ten_minutes_with_jitter_barge_ins_and_pauses_are_as_long_as_their_call() -> None:
    """Every utterance, of either voice, lies within 20 ms of where it was spoken or heard."""
    sink = MemorySink()
    taped, seconds, heard = run_virtual(_ten_minutes(sink))
    audio = sink.audio
    assert taped.state == "kept"
    assert abs(len(audio) / SAMPLE_RATE - seconds) <= 0.001
    assert abs(taped.seconds - seconds) <= 0.001
    assert len(taped.pauses) == 4
    for begin, end in taped.pauses:
        paused = slice(round(begin * SAMPLE_RATE), round(end * SAMPLE_RATE))
        assert not audio[paused].any()
        heard[paused] = 0
    for caller, agent in TURNS:
        for channel, when in ((CALLER, caller), (AGENT, agent)):
            if channel == CALLER and 299 <= when < 307:
                continue  # muted
            around = audio[(when - 2) * SAMPLE_RATE : (when + 2) * SAMPLE_RATE, channel]
            assert abs(place_of(noise(0.5, when), around) - 2 * SAMPLE_RATE) <= TWENTY_MS, (channel, when)
    shared = min(len(heard), len(audio))
    differs = (heard[:shared] != 0) != (audio[:shared, AGENT] != 0)
    assert np.count_nonzero(differs) < 0.01 * np.count_nonzero(heard)  # nothing that was cleared


def test_the_tape_passes_everything_on_in_order() -> None:
    async def held(leg: FakeLeg, tape: Tape) -> None:
        await leg.hear(0.1)
        leg.press("5")
        tape.play(silence(160))
        tape.mark("m")
        await leg.hear(0.1)

    _, _, events = record(held)
    kinds = [type(event) for event in events]
    assert kinds.count(AudioReceived) == 10
    assert kinds.index(DtmfReceived) == 5
    assert MarkPlayed("m") in events
    assert events[-1] == HungUp(HangupCause.CALLER)


def test_the_result_is_known_before_the_hang_up_is() -> None:
    order: list[str] = []

    async def run() -> None:
        leg = FakeLeg()
        tape = Tape(leg, MemorySink().open, asyncio.get_running_loop().time, lambda _: order.append("taped"))
        tape.begin()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(tape.run(lambda event: order.append(type(event).__name__)))
            await asyncio.sleep(1)
            tape.hang_up(HangupCause.AGENT)

    run_virtual(run())
    assert order == ["taped", "HungUp"]


def test_what_was_said_before_the_beginning_is_silence() -> None:
    states: list[bool] = []

    async def held(leg: FakeLeg, tape: Tape) -> None:
        await leg.say(9)
        states.append(tape.recording)
        tape.begin()
        states.append(tape.recording)
        await leg.say(1)

    sink, (taped,), _ = record(held, begin=False)
    audio = sink.audio
    assert abs(len(audio) - 10 * SAMPLE_RATE) < TWENTY_MS
    assert states == [False, True]
    first = np.flatnonzero(audio[:, CALLER])[0]
    assert abs(first - 9 * SAMPLE_RATE) < TWENTY_MS
    assert taped.pauses[0] == pytest.approx((0.0, 9.0), abs=0.02)


def test_the_tape_tells_where_the_media_clock_lies_in_it() -> None:
    """For five seconds the carrier sends nothing, and counts them not."""

    async def held(leg: FakeLeg, tape: Tape) -> None:
        await leg.hear(5)
        await asyncio.sleep(5)
        await leg.hear(3)
        await leg.say(4)

    sink, (taped,), _ = record(held)
    assert taped.shifts is not None
    ((begin, end),) = heard(9.0, 10.0, taped.shifts[CALLER])
    assert (begin, end) == pytest.approx((14.0, 15.0), abs=0.03)
    sound = np.flatnonzero(sink.audio[:, CALLER]) / SAMPLE_RATE
    ((begin, end),) = heard(8.0, 12.0, taped.shifts[CALLER])
    assert (sound[0], sound[-1]) == pytest.approx((begin, end), abs=0.02)


def test_a_recording_that_never_began_leaves_nothing() -> None:
    async def held(leg: FakeLeg, tape: Tape) -> None:
        await leg.say(10)

    sink, results, _ = record(held, begin=False)
    assert (sink.blocks, sink.closed, results) == ([], False, [])


def test_a_refusal_deletes_what_there_is_and_records_no_more() -> None:
    async def held(leg: FakeLeg, tape: Tape) -> None:
        await leg.say(5)
        tape.refuse()
        blocks = len(sink.blocks)
        await leg.say(5)
        tape.begin()
        tape.resume()
        await leg.say(5)
        assert len(sink.blocks) == blocks

    sink = MemorySink()
    _, results, events = record(held, sink=sink)
    assert sink.discarded
    assert not sink.closed
    assert [taped.state for taped in results] == ["erased"]
    assert len([event for event in events if isinstance(event, AudioReceived)]) == 750


def test_a_pause_that_is_not_ended_lasts_to_the_end() -> None:
    async def held(leg: FakeLeg, tape: Tape) -> None:
        await leg.say(2)
        tape.pause()
        await leg.say(4)

    sink, (taped,), _ = record(held)
    assert taped.pauses[0] == pytest.approx((2.0, 6.0), abs=0.02)
    assert not sink.audio[round(2.02 * SAMPLE_RATE) :].any()


class BrokenSink(MemorySink):
    def write(self, block: Block) -> None:
        raise RuntimeError("a bug")


def test_a_fault_at_the_end_is_told_too() -> None:
    async def held(leg: FakeLeg, tape: Tape) -> None:
        await leg.say(0.5)

    sink, results, events = record(held, sink=BrokenSink())
    assert [taped.state for taped in results] == ["failed"]
    assert sink.failures == ["fault"]
    assert isinstance(events[-1], HungUp)


def test_a_fault_of_the_recording_costs_the_recording_alone() -> None:
    async def held(leg: FakeLeg, tape: Tape) -> None:
        await leg.say(5)
        tape.play(silence(800))

    sink, results, events = record(held, sink=BrokenSink())
    assert [taped.state for taped in results] == ["failed"]
    assert sink.failures == ["fault"]
    assert len([event for event in events if isinstance(event, AudioReceived)]) == 250
    assert isinstance(events[-1], HungUp)


def test_a_tape_is_a_leg() -> None:
    async def run() -> None:
        leg: CallLeg = Tape(FakeLeg(), MemorySink().open, asyncio.get_running_loop().time, lambda _: None)
        assert leg.info.carrier == "fake"

    run_virtual(run())
