"""Over the wire: what the simulator's phone heard and said, and what was recorded of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import numpy.typing as npt
import pytest

from app.recordings.blocks import AGENT, CALLER
from app.recordings.finalise import RecordingNotReady, StoredRecording, finalise
from app.recordings.ports import CarrierRecordings, Places
from app.recordings.service import RecordingPolicy, Recordings
from app.recordings.shifts import heard as in_recording
from app.recordings.stores import LocalFolder
from app.recordings.writer import RecordingWriter
from app.voice.events import RecordingFinished
from app.voice.profile import Recording
from telephony.carriers.twilio.recordings import TwilioRecordings
from telephony.carriers.twilio.signature import TwilioCredentials
from telephony.errors import CarrierError
from telephony.media import g711
from telephony.media.frame import SAMPLE_RATE, Samples
from telephony.ports import CallLeg
from telephony.simulator.carrier import Carrier
from telephony.simulator.conditions import PERFECT, LineConditions
from telephony.simulator.heard import HeardCall, Utterance
from telephony.simulator.phone import Phone
from tests.app.recordings.recorded import noise, place_of, whole
from tests.fakes.leg import FakeLeg
from tests.fakes.recorder import FakeRecorder
from tests.telephony.carriers.twilio.conftest import ACCOUNT, PUBLIC, TOKEN, serving

TWENTY_MS = SAMPLE_RATE // 50


def line_noise(seconds: float, seed: int) -> Samples:
    """As it comes out of the telephone."""
    return g711.decode(g711.encode(noise(seconds, seed)))


class Desk:
    """A ``CallHandler`` whose agent says three things, the second of which is taken back in the middle."""

    def __init__(self, recordings: Recordings, settings: Recording) -> None:
        self.call_id = uuid4()
        self.seconds = 0.0
        self._recordings = recordings
        self._settings = settings

    def reserve(self, carrier_call_id: str) -> bool:
        return True

    def onward(self, carrier_call_id: str) -> str:
        return ""

    def note(
        self, carrier_call_id: str, name: str, detail: Mapping[str, str | int | float | bool]
    ) -> None: ...

    async def handle(self, leg: CallLeg) -> None:
        tape = self._recordings.tape(self.call_id, leg, self._settings)
        assert tape is not None
        tape.begin()
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as tasks:
            speaking = tasks.create_task(self._speak(tape))
            await tape.run(lambda event: None)
            self.seconds = loop.time() - began
            speaking.cancel()

    async def _speak(self, leg: CallLeg) -> None:
        for number, seconds in ((1, 0.6), (2, 1.2), (3, 0.6)):
            await asyncio.sleep(0.4)
            audio = line_noise(seconds, number)
            for begin in range(0, len(audio), 800):
                leg.play(audio[begin : begin + 800])
            leg.mark(str(number))
            await asyncio.sleep(0.5)
            if number == 2:
                leg.clear()
            await asyncio.sleep(0.4)


async def known(_: UUID) -> bool:
    return True


@asynccontextmanager
async def exchange(
    folder: Path, settings: Recording
) -> AsyncIterator[tuple[Carrier, Desk, FakeRecorder, Places]]:
    """A server that records, and a carrier that calls it."""
    writer, recorder = RecordingWriter(folder), FakeRecorder()
    writer.start()
    carriers: dict[str, CarrierRecordings] = {}
    recordings = Recordings(RecordingPolicy(enabled=True), folder, writer, recorder, known, carriers)
    desk = Desk(recordings, settings)
    webhook = f"{PUBLIC}/voice/twilio/incoming"
    async with (
        serving(desk) as (base, _),
        Carrier(webhook, ACCOUNT, TOKEN, via=base) as carrier,
        carrier.rest_api() as api_url,
    ):
        twilio = TwilioRecordings(TwilioCredentials(ACCOUNT, TOKEN, {}), PUBLIC, api_url)
        carriers["twilio"] = twilio
        yield carrier, desk, recorder, Places(folder, LocalFolder(folder), twilio)
    writer.stop(5)


async def waits(phone: Phone) -> None:
    await phone.wait(0.8)


async def speaks(phone: Phone) -> None:
    await phone.wait(0.7)
    await phone.say(Utterance.of(line_noise(0.5, 11)))
    await phone.wait(1.3)
    await phone.say(Utterance.of(line_noise(0.5, 12)))
    await phone.wait(0.8)


def finished(recorder: FakeRecorder) -> RecordingFinished:
    (event,) = [event for event in recorder.events if isinstance(event, RecordingFinished)]
    return event


async def stored(event: RecordingFinished, seconds: float | None, places: Places) -> StoredRecording:
    async with asyncio.timeout(10):
        while True:
            with suppress(CarrierError, RecordingNotReady):
                return await finalise(event, event.at, seconds, places)
            await asyncio.sleep(0.05)


def assert_like(audio: npt.NDArray[np.int16], heard: HeardCall) -> None:
    """Every voice lies within 20 ms of where the phone said or heard it, and nothing else is there."""
    for spoken in heard.spoken:
        where = place_of(spoken.utterance.samples, audio[:, CALLER])
        assert abs(where - round(spoken.begin * SAMPLE_RATE)) <= TWENTY_MS
    for number in (1, 3):
        sought = line_noise(0.6, number)
        assert abs(place_of(sought, audio[:, AGENT]) - place_of(sought, heard.agent)) <= TWENTY_MS
    assert abs(np.count_nonzero(audio[:, AGENT]) - np.count_nonzero(heard.agent)) <= TWENTY_MS


def assert_found(
    audio: npt.NDArray[np.int16], heard: HeardCall, event: RecordingFinished, within: float
) -> None:
    """What the caller said is where the shifts say, which are not too wide to be of use."""
    assert event.shifts is not None
    for spoken in heard.spoken:
        samples = spoken.utterance.samples
        where = place_of(samples, audio[:, CALLER]) / SAMPLE_RATE
        end = spoken.begin + len(samples) / SAMPLE_RATE
        (span,) = in_recording(spoken.begin - 0.02, end + 0.02, event.shifts[CALLER])
        assert span[0] <= where
        assert where + len(samples) / SAMPLE_RATE <= span[1]
        assert span[1] - span[0] <= end - spoken.begin + within


@pytest.mark.parametrize(
    "line", [PERFECT, LineConditions(to_agent=0.06, to_caller=0.08, jitter=0.05, seed=3)], ids=["good", "far"]
)
async def test_a_recording_is_what_the_phone_said_and_heard(tmp_path: Path, line: LineConditions) -> None:
    async with exchange(tmp_path, Recording()) as (carrier, desk, recorder, places):
        heard = await carrier.place_call(speaks, conditions=line)
        event = finished(recorder)
        row = await stored(event, desk.seconds, places)
    assert (row.state, row.store, row.channels, row.sample_rate) == ("kept", "local", 2, 8000)
    assert row.call_id == desk.call_id
    assert abs(row.duration_seconds - desk.seconds) <= 0.02
    assert abs(row.duration_seconds - heard.duration) <= 0.05 + line.to_agent
    audio = whole(tmp_path / row.path)
    assert_like(audio, heard)
    assert_found(audio, heard, event, within=0.3)


async def test_the_carriers_own_recording_is_fetched_and_deleted_there(tmp_path: Path) -> None:
    async with exchange(tmp_path, Recording(by="carrier")) as (carrier, desk, recorder, places):
        heard = await carrier.place_call(speaks)
        event = finished(recorder)
        assert event.source == "carrier"
        assert event.carrier_recording.startswith("RE")
        row = await stored(event, desk.seconds, places)
        assert places.carrier is not None
        assert await places.carrier.find(event.carrier_call_id) == ""
        again = await stored(event, desk.seconds, places)
    assert row.state == again.state == "kept"
    assert row.sha256 == again.sha256
    audio = whole(tmp_path / row.path)
    late = heard.duration - len(audio) / SAMPLE_RATE  # it began when the request arrived
    assert 0 <= late < 1
    spoken = heard.spoken[-1]
    where = place_of(spoken.utterance.samples, audio[:, CALLER])
    assert abs(where - round((spoken.begin - late) * SAMPLE_RATE)) <= TWENTY_MS
    assert_found(audio, heard, event, within=1.0)


async def test_the_id_is_found_where_the_carrier_never_told_it(tmp_path: Path) -> None:
    async with exchange(tmp_path, Recording(by="carrier")) as (carrier, _, recorder, places):
        await carrier.place_call(waits)
        untold = replace(finished(recorder), carrier_recording="")
        assert (await stored(untold, None, places)).state == "kept"


async def test_an_agent_says_whether_it_is_recorded(tmp_path: Path) -> None:
    for enabled, own, taped in ((True, None, True), (True, False, False), (False, True, True)):
        writer = RecordingWriter(tmp_path)
        recordings = Recordings(RecordingPolicy(enabled), tmp_path, writer, FakeRecorder(), known)
        tape = recordings.tape(UUID(int=1), FakeLeg(), Recording(enabled=own))
        assert (tape is not None) is taped
