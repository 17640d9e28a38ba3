from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest

from app.engines.supply import download as module
from app.engines.supply.catalogue import Source
from app.engines.supply.download import NotDownloaded, download, new_client
from tests.peers.file_server import FileServer

DATA = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(DATA).hexdigest()
MD5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()


def fetch(source: Source, target: Path) -> list[tuple[int, int | None]]:
    told: list[tuple[int, int | None]] = []
    with new_client() as client:
        download(client, source, target, lambda there, total: told.append((there, total)))
    return told


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "model.bin"


@pytest.fixture
def files(server: FileServer) -> FileServer:
    server.files["/model.bin"] = DATA
    return server


def source(server: FileServer, path: str = "/model.bin", **known: Any) -> Source:
    return Source.model_validate({"url": server.url + path} | known)


@pytest.mark.parametrize("known", [
    {}, {"bytes": len(DATA)}, {"sha256": SHA256}, {"md5": MD5},
    {"bytes": len(DATA), "sha256": SHA256, "md5": MD5},
])  # fmt: skip
def test_a_file_comes_whole_and_tells_its_progress(
    files: FileServer, target: Path, known: dict[str, Any]
) -> None:
    told = fetch(source(files, **known), target)
    assert target.read_bytes() == DATA
    assert told[-1] == (len(DATA), len(DATA))
    assert told == sorted(told)
    assert [path.name for path in target.parent.iterdir()] == ["model.bin"]


def test_what_breaks_off_goes_on_where_it_was(files: FileServer, target: Path) -> None:
    files.break_after = [100_000, 50_000]
    fetch(source(files, sha256=SHA256), target)
    assert target.read_bytes() == DATA
    assert [wanted for _, wanted in files.requests] == ["", "bytes=100000-", "bytes=150000-"]


def test_what_broke_off_goes_on_in_another_process(files: FileServer, target: Path) -> None:
    files.break_after = [1000] * 4
    with pytest.raises(NotDownloaded, match=r"broke"):
        fetch(source(files, sha256=SHA256), target)
    assert not target.exists()
    fetch(source(files, sha256=SHA256), target)
    assert target.read_bytes() == DATA
    assert files.requests[-1][1] == "bytes=4000-"


def test_a_server_without_ranges_begins_again(files: FileServer, target: Path) -> None:
    files.ranges, files.break_after = False, [1000]
    fetch(source(files, sha256=SHA256), target)
    assert target.read_bytes() == DATA


def test_without_a_hash_nothing_is_put_together(files: FileServer, target: Path) -> None:
    target.with_name("model.bin.part").write_bytes(b"of another file")
    fetch(source(files), target)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("begun", [b"of another file", DATA + b"too long"])
def test_the_beginning_of_another_file_is_thrown_away(files: FileServer, target: Path, begun: bytes) -> None:
    target.with_name("model.bin.part").write_bytes(begun)
    fetch(source(files, sha256=SHA256), target)
    assert target.read_bytes() == DATA


def test_a_file_that_had_come_whole_is_not_asked_for(files: FileServer, target: Path) -> None:
    target.with_name("model.bin.part").write_bytes(DATA)
    fetch(source(files, sha256=SHA256), target)
    assert target.read_bytes() == DATA
    assert not files.requests


def test_a_server_that_resumes_wrongly_is_found_out(files: FileServer, target: Path) -> None:
    files.lie, files.break_after = True, [1000]
    fetch(source(files, sha256=SHA256), target)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("known", [{"sha256": "0" * 64}, {"md5": "0" * 32}])
def test_another_file_is_refused(files: FileServer, target: Path, known: dict[str, Any]) -> None:
    with pytest.raises(NotDownloaded, match=r"not what should have come: model\.bin has the (sha256|md5)"):
        fetch(source(files, **known), target)
    assert not list(target.parent.iterdir())


def test_a_shorter_file_is_refused(files: FileServer, target: Path) -> None:
    with pytest.raises(NotDownloaded, match=f"file has {len(DATA)} bytes instead of 600000"):
        fetch(source(files, bytes=600_000), target)


def test_a_longer_file_is_not_fetched_to_its_end(files: FileServer, target: Path) -> None:
    with pytest.raises(NotDownloaded, match=f"file has {len(DATA)} bytes instead of 1000"):
        fetch(source(files, bytes=1000), target)
    assert not list(target.parent.iterdir())


def test_a_file_without_end_is_given_up(
    files: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 10_000)
    with pytest.raises(NotDownloaded, match="more than the 10000 bytes"):
        fetch(source(files), target)


def test_what_the_hub_announces_is_checked(files: FileServer, target: Path) -> None:
    files.announce = {"X-Linked-ETag": f'"{SHA256}"', "X-Linked-Size": str(len(DATA))}
    files.break_after = [1000]
    fetch(source(files, "/hub/model.bin"), target)
    assert target.read_bytes() == DATA
    files.announce = {"X-Linked-ETag": f'"{"1" * 64}"'}
    with pytest.raises(NotDownloaded, match=f"sha256 {SHA256} instead of 1111"):
        fetch(source(files, "/hub/model.bin"), target)


def test_a_hub_that_announces_another_file_is_not_asked_for_it(files: FileServer, target: Path) -> None:
    files.announce = {"X-Linked-ETag": f'"{"1" * 64}"'}
    with pytest.raises(NotDownloaded, match=f"has another file, sha256 1111.*, {SHA256}"):
        fetch(source(files, "/hub/model.bin", sha256=SHA256), target)
    assert not list(target.parent.iterdir())


def test_an_etag_that_is_no_hash_means_nothing(files: FileServer, target: Path) -> None:
    files.announce = {"X-Linked-ETag": '"abc"', "X-Linked-Size": "some"}
    fetch(source(files, "/hub/model.bin"), target)
    assert target.read_bytes() == DATA


def test_a_server_with_a_passing_trouble_is_asked_again(files: FileServer, target: Path) -> None:
    files.statuses = [503, 429]
    fetch(source(files), target)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize(("statuses", "words"), [
    ([404], "answers 404"), ([401], "answers 401"), ([500] * 9, "answers 500"), ([204], "answers 204"),
])  # fmt: skip
def test_a_refusal_is_told(files: FileServer, target: Path, statuses: list[int], words: str) -> None:
    files.statuses = statuses
    with pytest.raises(NotDownloaded, match=words):
        fetch(source(files), target)


def test_circles_end(files: FileServer, target: Path) -> None:
    with pytest.raises(NotDownloaded, match="redirects in circles"):
        fetch(source(files, "/circle"), target)


def test_a_server_that_is_not_there_is_named(target: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(NotDownloaded, match=r"no connection to 127\.0\.0\.1"):
        fetch(Source(url=f"http://127.0.0.1:{port}/x"), target)


def test_the_proxy_of_the_environment_is_used(
    files: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", files.url)
    files.files["http://models.example/model.bin"] = DATA
    fetch(Source(url="http://models.example/model.bin"), target)
    assert target.read_bytes() == DATA
