"""Unpacks what was fetched, trusting no archive: no path outside, no link, no flood of bytes."""

from __future__ import annotations

import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from app.engines.supply.catalogue import is_inside

_CHUNK_BYTES = 1 << 20
_GROWTH = 10  # times an archive's size that its content may have


class BadArchive(Exception):
    """It is no archive, or holds what it must not. The message completes "the archive ..."."""


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, folder: Path) -> None:
    """Put the files of a ZIP or TAR into ``folder``, without the one folder that all of them are in.

    Raises ``BadArchive``.
    """
    with _entries(archive) as entries:
        names = [PurePosixPath(entry.name) for entry in entries]
        tops = {name.parts[0] for name in names}
        strip = 1 if len(tops) == 1 and all(len(name.parts) > 1 for name in names) else 0
        room = _GROWTH * archive.stat().st_size
        for entry, name in zip(entries, names, strict=True):
            target = folder.joinpath(*name.parts[strip:])
            target.parent.mkdir(parents=True, exist_ok=True)
            room -= _copy(entry, target, room)


@contextmanager
def _entries(archive: Path) -> Iterator[list[_Entry]]:
    """The files in an archive."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                yield [_zipped(packed, info) for info in packed.infolist() if not info.is_dir()]
        else:
            with tarfile.open(archive) as packed_tar:
                yield [_tarred(packed_tar, info) for info in packed_tar if not info.isdir()]
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
    ) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of this machine's files; a damaged compression is one without a number
        raise BadArchive(f"is damaged ({type(error).__name__})") from None


def _zipped(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Entry:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in {0, stat.S_IFREG}:
        raise BadArchive(f"holds {info.filename!r}, which is no plain file")
    return _Entry(_checked(info.filename), lambda: packed.open(info))


def _tarred(packed: tarfile.TarFile, info: tarfile.TarInfo) -> _Entry:
    def opened() -> IO[bytes]:
        file = packed.extractfile(info)
        if file is None:
            raise BadArchive(f"holds {info.name!r}, which is no plain file")
        return file

    if not info.isreg():
        raise BadArchive(f"holds {info.name!r}, which is no plain file")
    return _Entry(_checked(info.name), opened)


def _checked(name: str) -> str:
    if not is_inside(name):
        raise BadArchive(f"holds {name!r}, a path outside of it")
    return name


def _copy(entry: _Entry, target: Path, room: int) -> int:
    """The bytes written."""
    written = 0
    with entry.open() as content, target.open("wb") as file:
        while chunk := content.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > room:
                raise BadArchive(f"holds more than {_GROWTH} times its size")
            file.write(chunk)
    return written
