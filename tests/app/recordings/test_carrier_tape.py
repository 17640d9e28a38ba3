"""A carrier that records for us: asked in order, beside the call, and stopped where it does not pause."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.recordings.carrier_tape import CarrierTape, CarrierTaped
from app.recordings.shifts import heard
from telephony.errors import HangupCause
from telephony.events import HungUp, LegEvent
from tests.fakes.carrier_recordings import FakeCarrierRecordings
from tests.fakes.clock import run_virtual
from tests.fakes.leg import FakeLeg


def held(
    what: Callable[[FakeLeg, CarrierTape], Awaitable[None]], carrier: FakeCarrierRecordings
) -> list[CarrierTaped]:
    """A call in virtual time."""
    results, events = list[CarrierTaped](), list[LegEvent]()

    async def run() -> None:
        leg = FakeLeg()
        tape = CarrierTape(leg, carrier, asyncio.get_running_loop().time, results.append)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(tape.run(events.append))
            await asyncio.sleep(0)
            await what(leg, tape)
            tape.hang_up(HangupCause.CALLER)
            await running

    run_virtual(run())
    assert isinstance(events[-1], HungUp)
    return results


def test_it_is_asked_in_order() -> None:
    async def what(leg: FakeLeg, tape: CarrierTape) -> None:
        await leg.hear(1)
        tape.begin()
        await leg.hear(2)
        tape.pause()
        await leg.hear(3)
        tape.resume()
        await leg.hear(4)

    carrier = FakeCarrierRecordings()
    (result,) = held(what, carrier)
    assert carrier.asked == ["start", "pause", "resume"]
    assert (result.recording, result.taped.state) == ("RE1", "kept")
    assert result.taped.seconds == pytest.approx(9.0)
    assert result.taped.pauses[0] == pytest.approx((2.0, 5.0))


class SlowCarrier(FakeCarrierRecordings):
    async def start(self, carrier_call_id: str) -> str:
        await asyncio.sleep(0.4)
        return await super().start(carrier_call_id)


def test_it_is_known_when_the_carriers_recording_began_to_the_time_of_the_request() -> None:
    """The carrier is asked after a sentence of 6 s, and answers 0.4 s later."""

    async def what(leg: FakeLeg, tape: CarrierTape) -> None:
        await leg.hear(6)
        tape.begin()
        await leg.hear(4)

    (result,) = held(what, SlowCarrier(has=False))
    assert result.taped.shifts is not None
    caller, agent = result.taped.shifts
    assert caller[-1] == pytest.approx((0.0, -6.4, -6.0), abs=0.03)
    assert list(heard(8.0, 9.0, caller)) == [pytest.approx((1.6, 3.0), abs=0.03)]
    assert list(heard(2.0, 5.0, caller)) == []
    ((begin, end),) = heard(8.0, 9.0, agent)
    assert begin == pytest.approx(1.6, abs=0.03)
    assert 3.0 < end <= 4.1  # as late as the way to the caller can make it


def test_time_that_the_media_clock_does_not_count_passes_in_the_carriers_recording() -> None:
    async def what(leg: FakeLeg, tape: CarrierTape) -> None:
        tape.begin()
        await leg.hear(10)
        await asyncio.sleep(5)
        await leg.hear(10)

    (result,) = held(what, FakeCarrierRecordings(has=False))
    assert result.taped.shifts is not None
    caller, _ = result.taped.shifts
    assert list(heard(2.0, 3.0, caller)) == [pytest.approx((2.0, 3.0), abs=0.03)]
    assert list(heard(17.0, 18.0, caller)) == [pytest.approx((22.0, 23.0), abs=0.03)]
    unsure = list(heard(10.5, 11.0, caller))  # that the clock has changed shows after some seconds
    assert min(begin for begin, _ in unsure) <= 10.5
    assert max(end for _, end in unsure) >= 15.98


def test_a_carrier_that_never_says_that_it_began_leaves_the_clock_unknown() -> None:
    async def what(leg: FakeLeg, tape: CarrierTape) -> None:
        tape.begin()
        await leg.hear(8)

    carrier = FakeCarrierRecordings(has=False)
    carrier.failing["start"] = 3
    (result,) = held(what, carrier)
    assert (result.taped.state, result.taped.shifts) == ("failed", None)


def test_a_refusal_stops_and_deletes() -> None:
    async def what(leg: FakeLeg, tape: CarrierTape) -> None:
        tape.begin()
        await leg.hear(1)
        tape.refuse()
        tape.resume()
        await leg.hear(1)

    carrier = FakeCarrierRecordings()
    (result,) = held(what, carrier)
    assert carrier.asked == ["start", "stop", "delete"]
    assert (result.taped.state, result.recording) == ("erased", "RE1")


def test_where_it_does_not_pause_it_stops() -> None:
    async def what(leg: FakeLeg, tape: CarrierTape) -> None:
        tape.begin()
        await leg.hear(1)
        tape.pause()
        await leg.hear(5)

    carrier = FakeCarrierRecordings()
    carrier.failing["pause"] = 3
    (result,) = held(what, carrier)
    assert carrier.asked == ["start", "pause", "pause", "pause", "stop"]
    assert result.taped.state == "failed"


def test_a_request_that_may_succeed_is_repeated() -> None:
    async def what(leg: FakeLeg, tape: CarrierTape) -> None:
        tape.begin()
        await leg.hear(5)

    carrier = FakeCarrierRecordings()
    carrier.failing["start"] = 2
    (result,) = held(what, carrier)
    assert carrier.asked == ["start"] * 3
    assert (result.taped.state, result.recording) == ("kept", "RE1")


def test_what_never_began_has_no_result() -> None:
    async def what(leg: FakeLeg, tape: CarrierTape) -> None:
        await leg.hear(1)

    carrier = FakeCarrierRecordings()
    assert held(what, carrier) == []
    assert carrier.asked == []
