"""FLAC files of 8 kHz, two channels, PCM16, through libsndfile. Everything here blocks; call it in a thread.

A file that is being written is ``<name>.flac.part``, of mode 0600 and locked (``flock``) by its writer, so
that whoever finds one knows whether it is still being written. libFLAC writes a frame of 4096 samples (0.5 s)
as soon as it is full, but the number of samples in the header only when the file is closed: the file of a
process that was killed says 0 there, libsndfile then claims 2^63-1 frames and reads such a file block by
block up to its last whole frame. ``complete`` does that, and writes a new file with a true header.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile  # type: ignore[import-untyped]

from telephony.media.frame import SAMPLE_RATE

PART = ".part"
"""What the name of a file ends with while it is being written."""

FRAME = 4096
"""Samples of a channel in one frame of the format."""

CHANNELS = 2
_LEVEL = 0.4  # of compression, 0 to 1: 0.3 ms of CPU for a second of both channels; 0.8 takes 0.4 ms
_NEAR_THE_END = 128  # samples read at once from a file that ends somewhere: a read that meets the end is lost
_ENDLESS = 2**40  # frames; more is what a header without their number reads as


class NotAudio(Exception):
    """A file holds no audio that can be read."""


class FlacWriter:
    """Writes ``path`` through its ``.part``. Methods raise ``OSError``, or what libsndfile raises."""

    def __init__(self, path: Path) -> None:
        """Raises ``FileExistsError`` when the recording exists, finished or not."""
        self._path = path
        self._part = part_of(path)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():
            raise FileExistsError(f"the recording {path.name} exists")
        self._fd = os.open(self._part, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file = _new_file(self._fd)
        except BaseException:
            os.close(self._fd)
            raise

    def write(self, pcm: npt.NDArray[np.int16]) -> None:
        """Append samples ``(n, 2)``."""
        self._file.write(pcm)

    def finish(self) -> None:
        """Complete the file, on disk and under its own name."""
        try:
            self._file.close()
            os.fsync(self._fd)
            self._part.rename(self._path)
            sync_folder(self._path.parent)
        finally:
            os.close(self._fd)

    def abandon(self) -> None:
        """Stop writing, and leave the ``.part`` as a killed process would. Raises nothing."""
        with suppress(OSError, soundfile.SoundFileError):
            self._file.close()
        with suppress(OSError):
            os.close(self._fd)

    def discard(self) -> None:
        """Delete it."""
        self.abandon()
        self._part.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """The file's name while it is being written."""
    return path.with_name(path.name + PART)


def _mended(path: Path) -> Path:
    """What ``complete`` makes of a ``.part``, whose lock is this file's too."""
    return path.with_name(path.name + ".mended")


def length(path: Path) -> int:
    """Samples of each channel. Raises ``NotAudio`` for a file that was not completed, and ``OSError``."""
    with _opened(path) as file:
        frames = int(file.frames)
    if frames > _ENDLESS:
        raise NotAudio(f"{path.name} was not completed by its writer")
    return frames


def sample_rate(path: Path) -> int:
    """Samples a second. Raises ``NotAudio`` and ``OSError``."""
    with _opened(path) as file:
        return int(file.samplerate)


def blocks(path: Path, most: int = FRAME) -> Iterator[npt.NDArray[np.int16]]:
    """The audio as arrays ``(n, channels)`` of at most ``most`` samples, up to where it can be read.

    Raises ``NotAudio`` and ``OSError``.
    """
    with _opened(path) as file:
        while True:
            try:
                block = file.read(most, dtype="int16", always_2d=True)
            except soundfile.LibsndfileError:
                return  # a frame that was cut off
            if not len(block):
                return
            yield block


def complete(path: Path) -> int:
    """Make the recording of a ``.part`` that nobody writes any more. Returns its samples.

    Killed at any point, it can be done again. Raises ``BlockingIOError`` while somebody writes the file,
    ``FileNotFoundError``, ``NotAudio`` when there is nothing in it (it is deleted then), ``OSError``.
    """
    part = part_of(path)
    fd = os.open(part, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mended = _mended(path)
        try:
            samples = rewrite(mended, blocks(part, _NEAR_THE_END))
            if samples:
                mended.rename(path)
                sync_folder(path.parent)
        except NotAudio:
            samples = 0
        finally:
            mended.unlink(missing_ok=True)
        part.unlink()
        if not samples:
            raise NotAudio(f"nothing was written to {part.name} before its writer ended")
        return samples
    finally:
        os.close(fd)


def delete(path: Path) -> None:
    """Delete a recording, finished or not; one that is gone is no error.

    Raises ``BlockingIOError`` while somebody writes it, ``OSError``.
    """
    with suppress(FileNotFoundError):
        fd = os.open(part_of(path), os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part_of(path).unlink(missing_ok=True)
        finally:
            os.close(fd)
    for file in (_mended(path), path):
        file.unlink(missing_ok=True)


def rewrite(path: Path, audio: Iterator[npt.NDArray[np.int16]]) -> int:
    """Write a whole file, whatever it was before; returns its samples. Raises ``OSError``."""
    fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_CLOEXEC, 0o600)
    samples = 0
    try:
        with _new_file(fd) as file:
            for block in audio:
                file.write(block)
                samples += len(block)
        os.fsync(fd)
    finally:
        os.close(fd)
    return samples


def sync_folder(folder: Path) -> None:
    """Make renames in a folder lasting. Raises ``OSError``."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _new_file(fd: int) -> soundfile.SoundFile:
    return soundfile.SoundFile(
        fd,
        "w",
        samplerate=SAMPLE_RATE,
        channels=CHANNELS,
        format="FLAC",
        subtype="PCM_16",
        closefd=False,
        compression_level=_LEVEL,
    )


def _opened(path: Path) -> soundfile.SoundFile:
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path.name}")
    try:
        return soundfile.SoundFile(str(path))
    except soundfile.LibsndfileError:
        raise NotAudio(f"{path.name} is no audio file that can be read") from None
