from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from app.engines.supply import fetch as module
from app.engines.supply.catalogue import Model
from app.engines.supply.download import new_client
from app.engines.supply.fetch import ModelNotFetched, fetch
from app.engines.supply.shelf import LOCK, condition, read_lock
from tests.peers.file_server import FileServer

FILES = {"/a/model.bin": b"weights" * 1000, "/a/config.json": b"{}"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def model_of(server: FileServer, **changes: Any) -> Model:
    server.files |= FILES
    files = [
        {
            "path": path.removeprefix("/a/"),
            "url": server.url + path,
            "bytes": len(data),
            "sha256": sha256(data),
        }
        for path, data in FILES.items()
    ]
    given = {
        "name": "tiny", "engine": "e", "licence": "MIT", "languages": ["en"], "about": "x", "source": "y",
        "files": files,
    }  # fmt: skip
    return Model.model_validate(given | changes)


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def bring(model: Model, models: Path) -> Path:
    with new_client() as client:
        return fetch(client, model, models, lambda label: lambda there, total: None)


def test_a_model_is_put_in_its_place_with_its_lock(server: FileServer, tmp_path: Path) -> None:
    model = model_of(server)
    assert condition(model, tmp_path).state == "absent"
    place = bring(model, tmp_path)
    assert place == tmp_path / "tiny"
    assert {path.name for path in place.iterdir()} == {"model.bin", "config.json", LOCK}
    assert condition(model, tmp_path).state == "intact"


def test_an_archive_becomes_a_folder(server: FileServer, tmp_path: Path) -> None:
    server.files["/m.zip"] = data = packed({"m/am/x": b"1", "m/conf": b"2"})
    archive = {"url": f"{server.url}/m.zip", "bytes": len(data), "sha256": sha256(data)}
    model = model_of(server, files=[], archive=archive)
    place = bring(model, tmp_path)
    assert {path.name for path in place.iterdir()} == {"am", "conf", LOCK}
    assert condition(model, tmp_path).state == "intact"
    (place / "am" / "x").write_bytes(b"3")
    assert condition(model, tmp_path).problems


def test_damage_is_found_and_repaired_with_what_is_intact(server: FileServer, tmp_path: Path) -> None:
    model = model_of(server)
    place = bring(model, tmp_path)
    (place / "model.bin").write_bytes(b"weighty" * 1000)
    found = condition(model, tmp_path)
    assert (found.state, len(found.problems)) == ("damaged", 1)
    assert condition(model, tmp_path, thorough=False).state == "intact"
    server.requests.clear()
    bring(model, tmp_path)
    assert condition(model, tmp_path).state == "intact"
    assert [path for path, _ in server.requests] == ["/a/model.bin"]


def test_what_had_come_is_not_fetched_again(server: FileServer, tmp_path: Path) -> None:
    model = model_of(server)
    del server.files["/a/config.json"]
    with pytest.raises(ModelNotFetched, match="answers 404"):
        bring(model, tmp_path)
    assert condition(model, tmp_path).state == "absent"
    server.files |= FILES
    server.requests.clear()
    bring(model, tmp_path)
    assert [path for path, _ in server.requests] == ["/a/config.json"]


def test_the_remains_of_a_broken_download_are_no_part_of_the_model(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engines.supply.download._PAUSE_SECONDS", 0.0)
    model = model_of(server)
    old = {"path": "sub/old.bin", "url": f"{server.url}/a/model.bin", "sha256": sha256(FILES["/a/model.bin"])}
    server.break_after = [100_000, 3000, *[10] * 9]
    with pytest.raises(ModelNotFetched, match="did not come"):
        bring(model_of(server, files=[old, *(file.model_dump() for file in model.files)]), tmp_path)
    server.break_after = []
    assert {path.name for path in (tmp_path / ".fetching" / "tiny").rglob("*.*")} == {
        "old.bin",
        "model.bin.part",
    }
    place = tmp_path / "tiny"
    place.mkdir()
    for path, data in FILES.items():
        (place / path.removeprefix("/a/")).write_bytes(data)  # as the error told
    bring(model, tmp_path)
    assert {path.name for path in place.rglob("*.*")} == {"model.bin", "config.json", LOCK}
    assert set(read_lock(place)) == {"model.bin", "config.json"}
    assert not list((tmp_path / ".fetching").iterdir())


def test_an_archive_that_could_not_be_unpacked_is_not_fetched_again(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/m.zip"] = data = packed({"m/am/x": b"1", "m/conf": b"2"})
    model = model_of(
        server, files=[], archive={"url": f"{server.url}/m.zip", "bytes": len(data), "sha256": sha256(data)}
    )

    def full(archive: Path, folder: Path) -> None:
        (folder / "half").write_bytes(b"1")
        raise OSError(errno.ENOSPC, "No space left on device", str(folder / "half"))

    with monkeypatch.context() as patch:
        patch.setattr(module, "unpack", full)
        with pytest.raises(ModelNotFetched, match="No space left"):
            bring(model, tmp_path)
    place = bring(model, tmp_path)
    assert len(server.requests) == 1
    assert {path.name for path in place.iterdir()} == {"am", "conf", LOCK}
    assert condition(model, tmp_path).state == "intact"
    assert not list((tmp_path / ".fetching").iterdir())


def test_a_failure_says_what_to_do_by_hand(server: FileServer, tmp_path: Path) -> None:
    model = model_of(server)
    del server.files["/a/config.json"]
    with pytest.raises(ModelNotFetched) as caught:
        bring(model, tmp_path)
    told = str(caught.value)
    assert told.startswith(f"tiny: config.json did not come from {server.url}/a/config.json: ")
    assert f"put it at {tmp_path / 'tiny' / 'config.json'}" in told
    assert "HTTPS_PROXY" in told


def test_a_bad_archive_says_what_to_do_by_hand(server: FileServer, tmp_path: Path) -> None:
    server.files["/p.zip"] = b"no archive"
    model = model_of(server, files=[], archive={"url": f"{server.url}/p.zip"})
    with pytest.raises(ModelNotFetched, match=r"the archive is damaged.*unpack it so that its files are in"):
        bring(model, tmp_path)
    assert not (tmp_path / "tiny").exists()
    server.files["/p.zip"] = packed({"p/m": b"weights"})
    bring(model, tmp_path)


def test_the_model_in_its_place_stays_until_the_new_one_is_whole(server: FileServer, tmp_path: Path) -> None:
    place = bring(model_of(server), tmp_path)
    newer = {"path": "new.bin", "url": f"{server.url}/none", "sha256": "0" * 64}
    with pytest.raises(ModelNotFetched):
        bring(model_of(server, files=[newer]), tmp_path)
    assert (place / "model.bin").exists()


def test_two_do_not_fetch_the_same_at_once(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / ".fetching").mkdir()
    with (tmp_path / ".fetching" / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ModelNotFetched, match="another process"):
            bring(model_of(server), tmp_path)


def test_a_full_disk_is_told_beforehand(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SPARE_BYTES", shutil.disk_usage(tmp_path).total * 2)
    with pytest.raises(ModelNotFetched, match="make room, or set TRUNKLINE_DATA_DIR"):
        bring(model_of(server), tmp_path)
    assert not server.requests


def test_a_place_that_cannot_be_written_is_told(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelNotFetched, match=r"cannot write to .*TRUNKLINE_DATA_DIR"):
        bring(model_of(server), tmp_path / "file" / "models")


@pytest.mark.parametrize(("content", "state"), [
    ({"model.bin": FILES["/a/model.bin"], "config.json": b"{}"}, "intact"),
    ({"model.bin": FILES["/a/model.bin"]}, "damaged"),
    ({"model.bin": b"short", "config.json": b"{}"}, "damaged"),
    ({}, "damaged"),
])  # fmt: skip
def test_what_was_put_there_by_hand_is_compared_with_the_catalogue(
    server: FileServer, tmp_path: Path, content: dict[str, bytes], state: str
) -> None:
    (tmp_path / "tiny").mkdir()
    for name, data in content.items():
        (tmp_path / "tiny" / name).write_bytes(data)
    assert condition(model_of(server), tmp_path).state == state


def test_what_nothing_is_known_of_is_unverified(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    model = model_of(server, files=[], archive={"url": f"{server.url}/m.zip"})
    assert condition(model, tmp_path).state == "unverified"


@pytest.mark.parametrize(
    "lock", ["", "{", "[]", '{"files": 5}', '{"files": {"a": {}}}', '{"files": {"a": 1}}']
)
def test_a_broken_lock_is_none(server: FileServer, tmp_path: Path, lock: str) -> None:
    place = bring(model_of(server), tmp_path)
    (place / LOCK).write_text(lock)
    assert condition(model_of(server), tmp_path).state == "intact"  # by the catalogue
