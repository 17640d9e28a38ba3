from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from app.engines.supply.archive import BadArchive, unpack


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return path


def tarred(path: Path, files: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    mode = "w:bz2" if path.suffix == ".bz2" else "w:gz"
    with tarfile.open(path, mode) as packed:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(data), kind, "/etc/passwd"
            packed.addfile(info, io.BytesIO(data))
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("name", ["model.zip", "model.tar.bz2", "model.tar.gz"])
@pytest.mark.parametrize(("files", "expected"), [
    ({"m/am/final.mdl": b"1", "m/README": b"2"}, {"am/final.mdl": b"1", "README": b"2"}),
    ({"./m/am/x": b"1", "./m/y": b"2"}, {"am/x": b"1", "y": b"2"}),
    ({"a": b"1", "m/b": b"2"}, {"a": b"1", "m/b": b"2"}),
    ({"m": b"1"}, {"m": b"1"}),
])  # fmt: skip
def test_the_files_are_unpacked_without_their_common_folder(
    tmp_path: Path, name: str, files: dict[str, bytes], expected: dict[str, bytes]
) -> None:
    archive = (zipped if name.endswith("zip") else tarred)(tmp_path / name, files)
    unpack(archive, tmp_path / "folder")
    assert content(tmp_path / "folder") == expected


@pytest.mark.parametrize("name", ["model.zip", "model.tar.bz2"])
@pytest.mark.parametrize("path", ["../evil", "/evil", "m/../../evil", "m\\..\\evil", "C:evil"])
def test_a_path_outside_is_refused(tmp_path: Path, name: str, path: str) -> None:
    archive = (zipped if name.endswith("zip") else tarred)(tmp_path / name, {"m/good": b"1", path: b"2"})
    with pytest.raises(BadArchive, match="a path outside of it"):
        unpack(archive, tmp_path / "folder")
    assert {found.name for found in tmp_path.iterdir()} <= {name, "folder"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    archive = tarred(tmp_path / "m.tar.bz2", {"m/link": b""}, kind)
    with pytest.raises(BadArchive, match="no plain file"):
        unpack(archive, tmp_path / "folder")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("m/link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as packed:
        packed.writestr(info, "/etc/passwd")
    with pytest.raises(BadArchive, match="no plain file"):
        unpack(tmp_path / "m.zip", tmp_path / "folder")


@pytest.mark.parametrize("name", ["model.zip", "model.tar.bz2"])
def test_a_flood_is_stopped(tmp_path: Path, name: str) -> None:
    archive = (zipped if name.endswith("zip") else tarred)(tmp_path / name, {"m/zeros": bytes(50_000_000)})
    with pytest.raises(BadArchive, match="more than 10 times its size"):
        unpack(archive, tmp_path / "folder")
    assert sum(map(len, content(tmp_path / "folder").values())) < 5_000_000


@pytest.mark.parametrize("name", ["model.zip", "model.tar.bz2"])
def test_a_damaged_archive_is_refused_wherever_it_is_cut(tmp_path: Path, name: str) -> None:
    files = {"m/a": bytes(range(256)) * 20, "m/b": b"b"}
    archive = (zipped if name.endswith("zip") else tarred)(tmp_path / name, files)
    whole = archive.read_bytes()
    for cut in range(0, len(whole) - 30, max(1, len(whole) // 40)):
        archive.write_bytes(whole[:cut])
        with pytest.raises(BadArchive):
            unpack(archive, tmp_path / "folder")
