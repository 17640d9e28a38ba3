"""The post-call step, killed at any point and done again; carrier's recordings; redaction."""

from __future__ import annotations

import fcntl
import hashlib
import wave
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from app.recordings import flac
from app.recordings.blocks import AGENT, CALLER
from app.recordings.finalise import RecordingNotReady, finalise
from app.recordings.ports import Places
from app.recordings.silencing import SilentSpan, silence
from app.recordings.stores import LocalFolder, NotStored, StoreError
from app.voice.events import RecordingFinished
from telephony.errors import CarrierError
from telephony.media.frame import SAMPLE_RATE
from tests.app.recordings.recorded import noise, whole
from tests.fakes.carrier_recordings import FakeCarrierRecordings

CALL = UUID(int=7)
STARTED = datetime(2026, 2, 28, 10, 0, tzinfo=UTC)
KEY = f"2026/02/28/{CALL}.flac"
FINISHED = RecordingFinished(CALL, STARTED, KEY, "flac", 2, 8000, 3.0, ((1.0, 1.5),), "kept")


class Away(LocalFolder):
    """A store that is not the folder of recordings; it can die at a point."""

    name = "s3"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.dies: str = ""
        self.puts = 0

    async def put(self, path: Path, key: str) -> None:
        if self.dies == "before":
            raise KeyboardInterrupt
        self.puts += 1
        await super().put(path, key)
        if self.dies == "after":
            raise KeyboardInterrupt

    def stream(self, key: str, begin: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        return super().stream(key, begin, end)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "recordings", Away(tmp_path / "bucket"))


def made(folder: Path, seconds: float = 3.0, *, finish: bool = True) -> Path:
    path = folder / KEY
    writer = flac.FlacWriter(path)
    writer.write(np.stack((noise(seconds, 1), noise(seconds, 2)), axis=1))
    if finish:
        writer.finish()
    else:
        writer.abandon()
    return path


async def test_a_recording_is_checked_and_put_into_the_store(places: Places) -> None:
    path = made(places.folder)
    content = path.read_bytes()
    row = await finalise(FINISHED, STARTED, 3.01, places)
    assert (row.state, row.store, row.path, row.call_id) == ("kept", "s3", KEY, CALL)
    assert (row.size_bytes, row.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (row.duration_seconds, row.pauses, row.redacted) == (3.0, ((1.0, 1.5),), False)
    assert not path.exists()
    assert await places.store.size(KEY) == len(content)


@pytest.mark.parametrize("dies", ["before", "after"])
async def test_killed_at_the_upload_it_is_done_again(places: Places, dies: str) -> None:
    made(places.folder)
    store = places.store
    assert isinstance(store, Away)
    store.dies = dies
    with pytest.raises(KeyboardInterrupt):
        await finalise(FINISHED, STARTED, 3.0, places)
    assert (places.folder / KEY).exists()
    store.dies = ""
    first = await finalise(FINISHED, STARTED, 3.0, places)
    second = await finalise(FINISHED, STARTED, 3.0, places)
    assert replace(first, created_at=STARTED) == replace(second, created_at=STARTED)
    assert store.puts == 1
    assert not [file for file in places.folder.rglob("*") if file.is_file()]


async def test_the_local_store_keeps_the_file_where_it_is(tmp_path: Path) -> None:
    places = Places(tmp_path, LocalFolder(tmp_path))
    path = made(tmp_path)
    rows = [await finalise(FINISHED, STARTED, 3.0, places) for _ in range(2)]
    assert rows[0].sha256 == rows[1].sha256
    assert path.exists()


@pytest.mark.parametrize(
    ("seconds", "state"), [(3.0, "kept"), (3.019, "kept"), (3.03, "failed"), (2.9, "failed")]
)
async def test_the_length_is_that_of_the_call(places: Places, seconds: float, state: str) -> None:
    made(places.folder)
    row = await finalise(FINISHED, STARTED, seconds, places)
    assert row.state == state
    assert row.size_bytes > 0  # what there is, is kept


async def test_what_a_killed_process_left_is_completed(places: Places) -> None:
    made(places.folder, finish=False)
    row = await finalise(FINISHED, STARTED, None, places)
    assert row.state == "kept"
    assert 2.4 < row.duration_seconds <= 3.0


async def test_what_is_still_written_is_awaited(places: Places) -> None:
    path = made(places.folder, finish=False)
    with flac.part_of(path).open("rb") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        with pytest.raises(RecordingNotReady):
            await finalise(FINISHED, STARTED, 3.0, places)


async def test_what_is_not_there_is_awaited_for_a_minute_and_then_missing(places: Places) -> None:
    with pytest.raises(RecordingNotReady):
        await finalise(replace(FINISHED, at=datetime.now(UTC)), STARTED, 3.0, places)
    old = replace(FINISHED, at=datetime.now(UTC) - timedelta(seconds=61))
    row = await finalise(old, STARTED, 3.0, places)
    assert (row.state, row.size_bytes) == ("failed", 0)


async def test_a_refused_recording_is_nowhere(places: Places) -> None:
    path = made(places.folder)
    await places.store.put(path, KEY)
    for _ in range(2):
        row = await finalise(replace(FINISHED, state="erased"), STARTED, 3.0, places)
    assert (row.state, row.size_bytes) == ("erased", 0)
    assert not path.exists()
    with pytest.raises(NotStored):
        await places.store.size(KEY)


async def test_a_store_that_loses_bytes_is_not_believed(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(places.folder)

    async def size(key: str) -> int:
        if not places.store.puts:  # type: ignore[attr-defined]
            raise NotStored("no")
        return 1

    monkeypatch.setattr(places.store, "size", size)
    with pytest.raises(StoreError, match="did not keep all"):
        await finalise(FINISHED, STARTED, 3.0, places)
    assert path.exists()


def wav(path: Path, channels: int, rate: int = SAMPLE_RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(noise(2.0, 5), channels).tobytes())
    return path


CARRIERS = replace(FINISHED, source="carrier", carrier_recording="RE1")


@pytest.mark.parametrize("channels", [1, 2])
async def test_a_carriers_recording_becomes_one_like_ours(
    places: Places, tmp_path: Path, channels: int
) -> None:
    carrier = FakeCarrierRecordings(wav(tmp_path / "theirs.wav", channels))
    row = await finalise(CARRIERS, STARTED, 3.0, replace(places, carrier=carrier))
    assert (row.state, row.duration_seconds, row.channels) == ("kept", 2.0, 2)
    assert carrier.asked == ["fetch", "delete"]
    await finalise(CARRIERS, STARTED, 3.0, replace(places, carrier=carrier))
    assert carrier.asked == ["fetch", "delete", "delete"]


async def test_a_carriers_recording_that_is_not_ready_is_asked_for_again(places: Places) -> None:
    with pytest.raises(CarrierError) as raised:
        await finalise(CARRIERS, STARTED, 3.0, replace(places, carrier=FakeCarrierRecordings()))
    assert raised.value.retryable


async def test_a_carriers_file_that_is_no_telephone_audio_is_refused(places: Places, tmp_path: Path) -> None:
    for content in (wav(tmp_path / "fast.wav", 2, 16_000), tmp_path / "none.wav"):
        content.touch()
        with pytest.raises(CarrierError):
            await finalise(CARRIERS, STARTED, 3.0, replace(places, carrier=FakeCarrierRecordings(content)))
        assert not list(places.folder.rglob("*.f*"))


async def test_a_refused_recording_is_deleted_at_the_carrier(places: Places) -> None:
    carrier = FakeCarrierRecordings()
    refused = replace(CARRIERS, state="erased", carrier_recording="", carrier_call_id="CA1")
    await finalise(refused, STARTED, 3.0, replace(places, carrier=carrier))
    assert carrier.asked == ["find", "delete"]


async def test_spans_become_silent_and_all_else_stays(places: Places) -> None:
    original = whole(made(places.folder))
    await finalise(FINISHED, STARTED, 3.0, places)
    spans = [SilentSpan(CALLER, 0.5, 1.0), SilentSpan(AGENT, 2.5, 99.0)]
    facts = [await silence(places.store, KEY, spans, places.folder) for _ in range(2)]
    assert facts[0] == facts[1]
    assert facts[0].seconds == 3.0
    path = places.folder.parent / "bucket" / KEY
    assert hashlib.sha256(path.read_bytes()).hexdigest() == facts[0].sha256
    expected = original.copy()
    expected[4000:8000, CALLER] = 0
    expected[20_000:, AGENT] = 0
    assert np.array_equal(whole(path), expected)
    assert not [file for file in places.folder.rglob("*") if file.is_file()]
