"""A phone on a bad line, in virtual time: what it sends is looked at frame by frame."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable

import numpy as np
import pytest

from telephony.media import g711
from telephony.media.frame import Samples
from telephony.simulator.conditions import LineConditions
from telephony.simulator.phone import Phone
from telephony.simulator.wire import StreamWriter
from tests.fakes.clock import run_virtual
from tests.telephony.simulator.media_server import tone

STREAM = "MZ1"


class Wire:
    """The socket of a phone: keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, dict[str, str]]] = []

    def send(self, message: str) -> None:
        self.sent.append(json.loads(message))

    def abort(self) -> None: ...

    def stop_reading(self) -> None: ...

    def read_again(self) -> None: ...

    def media(self) -> list[dict[str, str]]:
        """The frames that were sent."""
        return [message["media"] for message in self.sent if "media" in message]

    def audio(self) -> Samples:
        """Their audio, one after the other."""
        return g711.decode(b"".join(base64.b64decode(frame["payload"]) for frame in self.media()))


def listen(conditions: LineConditions, server: Callable[[Phone], None]) -> tuple[Phone, Wire]:
    """Two seconds of a caller who says nothing. ``server`` acts at 0.5 s."""

    async def run() -> tuple[Phone, Wire]:
        loop = asyncio.get_running_loop()
        phone, wire = Phone(conditions, loop.time), Wire()
        phone.connect(StreamWriter(STREAM, "CA1", "AC1"), wire)
        loop.call_later(0.5, server, phone)
        await phone.wait(2.0)
        phone.end()
        return phone, wire

    return run_virtual(run())


def play(phone: Phone) -> None:
    payload = base64.b64encode(tone(0.4)).decode()
    phone.receive(json.dumps({"event": "media", "streamSid": STREAM, "media": {"payload": payload}}).encode())
    phone.receive(json.dumps({"event": "mark", "streamSid": STREAM, "mark": {"name": "1.1"}}).encode())


def test_an_echo_is_what_was_heard_softer_and_later() -> None:
    _, wire = listen(LineConditions(echo=-20.0, echo_delay=0.1), play)
    sent = wire.audio().astype(np.int32)
    loud = np.flatnonzero(np.abs(sent) > 100)
    assert loud[0] / 8000 == pytest.approx(0.6, abs=0.03)
    assert loud[-1] / 8000 == pytest.approx(1.0, abs=0.03)
    assert np.abs(sent).max() == pytest.approx(800, rel=0.1)


def test_without_echo_the_caller_is_silent() -> None:
    _, wire = listen(LineConditions(), play)
    assert not wire.audio().any()


def test_lost_frames_leave_a_gap_in_the_media_timestamps() -> None:
    _, wire = listen(LineConditions(lost_frames=0.2), lambda _phone: None)
    stamps = [int(frame["timestamp"]) for frame in wire.media()]
    steps = np.diff(stamps)
    assert stamps[-1] == pytest.approx(2000, abs=60)
    assert 5 <= len(steps[steps > 20]) <= 30
    numbers = [int(str(message["sequenceNumber"])) for message in wire.sent]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_mark_is_remembered_with_where_it_stands() -> None:
    phone, _ = listen(LineConditions(), play)
    (mark,) = phone.marks
    assert mark.name == "1.1"
    assert mark.at == pytest.approx(0.5)
    assert mark.due == pytest.approx(0.9)


@pytest.mark.parametrize("wrong", [{"echo": 1.0}, {"echo_delay": -0.1}, {"lost_frames": 1.5}])
def test_impossible_lines_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"line|shares"):
        LineConditions(**wrong)  # type: ignore[arg-type]  # the fields of other types are not tried
