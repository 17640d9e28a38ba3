"""Both stores by the same suite: whole or not at all, ranges, and what is not there."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.places import build_places
from app.recordings.ports import Store
from app.recordings.scratch import FOLDER
from app.recordings.stores import Bucket, LocalFolder, NotStored, StoreError
from config.settings import RecordingSettings, Settings
from tests.peers.s3_server import BUCKET, s3_server

KEY = "2026/02/28/call.flac"


@pytest.fixture(scope="module")
def s3_origin() -> Iterator[str]:
    with s3_server() as origin:
        yield origin


def bucket(origin: str, **changes: str) -> Bucket:
    settings = {"bucket": BUCKET, "access_key": "test", "secret_key": "test", **changes}
    return Bucket(region="us-east-1", endpoint=origin, timeout_seconds=5.0, **settings)


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return LocalFolder(tmp_path / "kept")
    return bucket(request.getfixturevalue("s3_origin"), prefix=f"tests/{tmp_path.name}")


def file_of(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "made.flac"
    path.write_bytes(content)
    return path


async def read(store: Store, key: str, begin: int = 0, end: int | None = None) -> bytes:
    return b"".join([part async for part in store.stream(key, begin, end)])


async def test_what_is_put_is_read(store: Store, tmp_path: Path) -> None:
    content = os.urandom(12 * 1024 * 1024)  # three parts of an upload
    await store.put(file_of(tmp_path, content), KEY)
    assert await store.size(KEY) == len(content)
    assert await read(store, KEY) == content
    assert (tmp_path / "made.flac").exists()


@pytest.mark.parametrize(
    ("begin", "end"), [(0, 1), (0, None), (999, 1000), (10, 500), (500, None), (20, 20), (990, 5000)]
)
async def test_ranges(store: Store, tmp_path: Path, begin: int, end: int | None) -> None:
    content = os.urandom(1000)
    await store.put(file_of(tmp_path, content), KEY)
    assert await read(store, KEY, begin, end) == content[begin:end]


async def test_putting_again_replaces(store: Store, tmp_path: Path) -> None:
    for content in (b"first and longer", b"second"):
        await store.put(file_of(tmp_path, content), KEY)
    assert await read(store, KEY) == b"second"


async def test_deleting_is_done_once_or_twice(store: Store, tmp_path: Path) -> None:
    await store.put(file_of(tmp_path, b"x"), KEY)
    for _ in range(2):
        await store.delete(KEY)
    with pytest.raises(NotStored):
        await read(store, KEY)
    with pytest.raises(NotStored):
        await store.size(KEY)


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a/../b", "", "a//b", ".x", "a\n", "x" * 2000])
async def test_keys_that_lead_elsewhere_are_refused(store: Store, tmp_path: Path, key: str) -> None:
    with pytest.raises(StoreError, match="plain names"):
        await store.put(file_of(tmp_path, b"x"), key)
    with pytest.raises(StoreError):
        await read(store, key)


async def test_a_local_file_is_private_and_alone(tmp_path: Path) -> None:
    store = LocalFolder(tmp_path / "kept")
    await store.put(file_of(tmp_path, b"x"), KEY)
    path = tmp_path / "kept" / KEY
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert list((tmp_path / "kept" / FOLDER).iterdir()) == []
    await store.put(path, KEY)  # where it lies already
    assert path.read_bytes() == b"x"


async def test_what_is_given_up_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread cannot be cancelled: what it puts would come after whoever gave up."""
    store, begun = LocalFolder(tmp_path / "kept"), threading.Event()
    fsync = os.fsync

    def slowly(fd: int) -> None:
        begun.set()
        time.sleep(0.2)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", slowly)
    putting = asyncio.create_task(store.put(file_of(tmp_path, b"x"), KEY))
    await asyncio.to_thread(begun.wait)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert await store.size(KEY) == 1


async def test_a_folder_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(StoreError, match="check the space and the rights"):
        await LocalFolder(tmp_path / "kept").put(file_of(tmp_path, b"x"), KEY)


async def test_a_bucket_that_is_not_there_is_explained(s3_origin: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        await bucket(s3_origin, bucket="nowhere").put(file_of(tmp_path, b"x"), KEY)
    with pytest.raises(StoreError, match="TRUNKLINE_RECORDINGS__S3__BUCKET") as raised:
        await bucket("http://127.0.0.1:9").size(KEY)
    assert not isinstance(raised.value, NotStored)


def test_the_settings_name_the_store(tmp_path: Path) -> None:
    settings = Settings(profile="embedded", data_dir=tmp_path)
    assert (build_places(settings).store.name, build_places(settings).others) == ("local", ())
    for store, other in (("s3", "local"), ("local", "s3")):
        recordings = RecordingSettings.model_validate({"store": store, "s3": {"bucket": "b"}})
        places = build_places(settings.model_copy(update={"recordings": recordings}))
        assert (places.store.name, [each.name for each in places.others]) == (store, [other])
    with pytest.raises(ValueError, match="TRUNKLINE_RECORDINGS__S3__BUCKET"):
        RecordingSettings.model_validate({"store": "s3"})
