"""A carrier that records for us: asked in order, beside the call, and stopped where it does not pause."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.recordings.carrier_tape import CarrierTape, CarrierTaped
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
