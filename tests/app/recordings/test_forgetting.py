"""Every copy of a call's sound is deleted, and what stays is said."""

from __future__ import annotations

import fcntl
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from app.recordings import flac
from app.recordings.forgetting import Sound, forget
from app.recordings.keys import key_of, keys_of
from app.recordings.ports import Places
from app.recordings.stores import LocalFolder, StoreError
from tests.fakes.carrier_recordings import FakeCarrierRecordings

CALL = UUID(int=7)
BEGAN = datetime(2026, 2, 28, 0, 0, 10, tzinfo=UTC)
KEY = f"2026/02/28/{CALL}.flac"
KEPT = Sound(CALL, BEGAN, "CA1", KEY, "local", "trunkline", "kept")


class Away(LocalFolder):
    """A store that is not the folder of recordings."""

    name = "s3"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    folder = tmp_path / "recordings"
    return Places(folder, LocalFolder(folder))


def write(root: Path, key: str = KEY) -> Path:
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"sound")
    return path


def left(places: Places) -> list[str]:
    return [file.name for file in places.folder.parent.rglob("*") if file.is_file()]


@pytest.mark.parametrize("ending", ["", ".part", ".mended"])
@pytest.mark.parametrize("sound", [KEPT, Sound(CALL, BEGAN)])
async def test_it_is_deleted_at_whatever_stage_it_is(places: Places, ending: str, sound: Sound) -> None:
    write(places.folder, KEY + ending)
    for _ in range(2):
        await forget(sound, places)
    assert left(places) == []


async def test_just_after_midnight_it_may_be_of_the_day_before(places: Places) -> None:
    write(places.folder, f"2026/02/27/{CALL}.flac")
    await forget(Sound(CALL, BEGAN), places)
    assert left(places) == []
    noon = BEGAN.replace(hour=12)
    assert keys_of(CALL, noon) == [key_of(CALL, noon)]


async def test_it_is_deleted_in_the_folder_its_own_store_and_that_of_now(
    places: Places, tmp_path: Path
) -> None:
    bucket, newer = Away(tmp_path / "bucket"), Away(tmp_path / "newer")
    newer.name = "newer"
    for root in (places.folder, tmp_path / "bucket", tmp_path / "newer"):
        write(root)
    await forget(replace(KEPT, store="s3"), replace(places, store=newer, others=(bucket,)))
    assert left(places) == []


async def test_a_store_that_the_settings_do_not_name_is_told_of(places: Places) -> None:
    with pytest.raises(StoreError, match="TRUNKLINE_RECORDINGS__S3__BUCKET"):
        await forget(replace(KEPT, store="s3"), places)


async def test_what_is_being_written_stays(places: Places) -> None:
    path = write(places.folder)
    with write(places.folder, KEY + ".part").open("rb") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="still being written"):
            await forget(KEPT, places)
    assert path.exists()


async def test_a_folder_that_cannot_be_written_is_explained(places: Places) -> None:
    (places.folder / KEY).mkdir(parents=True)
    with pytest.raises(StoreError, match="check the rights"):
        await forget(KEPT, places)


@pytest.mark.parametrize(
    ("state", "asked"), [("recorded", ["find", "delete"]), ("failed", ["find", "delete"]), ("kept", [])]
)
async def test_the_carriers_copy_is_deleted_until_ours_is_kept(
    places: Places, state: str, asked: list[str]
) -> None:
    carrier = FakeCarrierRecordings()
    theirs = replace(KEPT, source="carrier", state=state)
    await forget(theirs, replace(places, carrier=carrier))
    assert carrier.asked == asked
    carrier = FakeCarrierRecordings()
    carrier.failing = {"delete": 1}
    if asked:
        with pytest.raises(StoreError, match="the carrier's copy"):
            await forget(theirs, replace(places, carrier=carrier))
        with pytest.raises(StoreError, match="TRUNKLINE_TWILIO__ACCOUNT_SID"):
            await forget(theirs, places)


async def test_what_is_completed_meanwhile_is_deleted_or_told_of(places: Places) -> None:
    path = write(places.folder, KEY + ".part").with_name(f"{CALL}.flac")
    await forget(KEPT, places)
    with pytest.raises(FileNotFoundError):
        flac.complete(path)
    assert left(places) == []
