"""What speech servers send, bytes of PCM cut anywhere, to audio for the line; what it is, is read first."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from telephony.media.frame import SAMPLE_RATE, Samples
from telephony.media.resample import Resampler

_BLOCKS_A_SECOND = 50  # converted at once, or a few of them; equal ones share the resampler's plan
_MOST_BLOCKS = 10  # 0.2 s: 0.05 ms to convert from 24 kHz
_LOWEST_HZ, _HIGHEST_HZ = 4_000, 192_000
_MOST_CHANNELS = 8
_PCM, _EXTENSIBLE = 1, 0xFFFE
_EXTENSIBLE_BYTES, _SUB_FORMAT_AT = 40, 24  # of a WAV's format that is described further
_MOST_HEAD_BYTES = 64 * 1024  # of what stands before a WAV's audio
_MAGIC_BYTES = 12
_LONGEST_DATA = 0x7FFFFFFF  # a greater length, or 0, is that of a writer who did not know it
_MAGICS = {
    b"ID3": "MP3", b"OggS": "Ogg", b"fLaC": "FLAC", b"\x1aE\xdf\xa3": "WebM", b"FORM": "AIFF", b".snd": "AU",
}  # fmt: skip


class AudioFormatError(ValueError):
    """Audio of a kind that is not understood. The text says which, in words for an operator."""


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """PCM, little-endian: samples a second of each channel, and bytes of a sample.

    One byte is unsigned. Raises ``AudioFormatError`` for what no speech comes in.
    """

    rate: int
    width: int = 2
    channels: int = 1

    def __post_init__(self) -> None:
        if self.width not in {1, 2, 4} or not 1 <= self.channels <= _MOST_CHANNELS:
            raise AudioFormatError(f"audio of {8 * self.width} bits and {self.channels} channels")
        if not _LOWEST_HZ <= self.rate <= _HIGHEST_HZ:
            raise AudioFormatError(f"audio of {self.rate} Hz")


class LineAudio:
    """Turns one stream of ``format`` into mono at 8 kHz; channels are mixed."""

    def __init__(self, given: PcmFormat) -> None:
        self.format = given
        self._resampler = Resampler(given.rate, SAMPLE_RATE)
        self._frame = given.width * given.channels
        self._block = given.rate // _BLOCKS_A_SECOND * self._frame
        self._held = bytearray()
        self._began = False

    def feed(self, data: bytes) -> Iterator[Samples]:
        """The audio that is complete with these bytes, in pieces of 20 to 200 ms, made when asked for."""
        self._held += data
        self._began = self._began or len(self._held) >= self._frame
        while blocks := min(len(self._held) // self._block, _MOST_BLOCKS):
            piece = bytes(self._held[: blocks * self._block])
            del self._held[: len(piece)]
            yield self._convert(piece)

    def finish(self) -> Samples:
        """What is left: less than 20 ms, and what the filter holds. A sample cut in two is dropped.

        Nothing where nothing came.
        """
        if not self._began:
            return np.empty(0, np.int16)
        whole = len(self._held) // self._frame * self._frame
        rest = self._convert(bytes(self._held[:whole]))
        self._held.clear()
        return np.concatenate((rest, self._resampler.flush(np.int16)))

    def _convert(self, data: bytes) -> Samples:
        match self.format.width:
            case 1:
                samples = ((np.frombuffer(data, np.uint8).astype(np.int16) - 128) << 8).astype(np.int16)
            case 2:
                samples = np.frombuffer(data, "<i2").astype(np.int16, copy=False)
            case _:
                samples = (np.frombuffer(data, "<i4") >> 16).astype(np.int16)
        if self.format.channels > 1:
            samples = samples.reshape(-1, self.format.channels).mean(axis=1).astype(np.int16)
        return self._resampler.push(samples)


class AudioHead:
    """Reads what is sent up to its audio, from bytes cut anywhere: raw PCM of ``expected``, or a WAV file.

    ``format`` is there once the audio begins. What it is, its first 12 bytes tell, since content types are
    often wrong: LiteLLM called everything ``audio/mpeg``. ``expected`` ``None``: only a WAV file will do.
    """

    def __init__(self, expected: PcmFormat | None) -> None:
        self.format: PcmFormat | None = None
        self._expected = expected
        self._described: PcmFormat | None = None
        self._held = bytearray()
        self._skip = 0  # bytes of a chunk of no interest
        self._began = False
        self._left: int | None = None  # bytes of the audio, where its length is known

    def feed(self, data: bytes) -> bytes:
        """The audio among these bytes. Raises ``AudioFormatError`` for what is neither PCM nor WAV."""
        if self.format is None:
            self._held += data
            while self._step():
                pass
            if not self._reads_audio():
                if len(self._held) > _MOST_HEAD_BYTES:
                    raise AudioFormatError("a WAV file whose audio does not begin")
                return b""
            data = bytes(self._held)
            self._held.clear()
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        return data

    def _reads_audio(self) -> bool:
        return self.format is not None

    def _step(self) -> bool:
        """Read one part; ``False`` when there is not all of it yet, and where the audio begins."""
        if self._skip:
            skipped = min(self._skip, len(self._held))
            del self._held[:skipped]
            self._skip -= skipped
            return not self._skip
        if not self._began:
            return self._begin()
        if len(self._held) < 8:
            return False
        kind, size = struct.unpack_from("<4sI", self._held)
        if kind == b"data":
            if self._described is None:
                raise AudioFormatError("a WAV file that does not tell its format")
            del self._held[:8]
            self.format = self._described
            self._left = size if 0 < size <= _LONGEST_DATA else None
            return False
        return self._describe(size) if kind == b"fmt " else self._pass_by(size)

    def _begin(self) -> bool:
        if len(self._held) < _MAGIC_BYTES:
            return False
        self._began = True
        if self._held[:4] == b"RIFF" and self._held[8:12] == b"WAVE":
            del self._held[:12]
            return True
        if other := _other_format(self._held):
            raise AudioFormatError(f"{other}, neither PCM nor WAV")
        if self._expected is None:
            raise AudioFormatError("what is no WAV file")
        self.format = self._expected
        return False

    def _describe(self, size: int) -> bool:
        if not 16 <= size <= _MOST_HEAD_BYTES:
            raise AudioFormatError("a WAV file whose format is broken")
        if len(self._held) < 8 + size:
            return False
        coding, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", self._held, 8)
        if coding == _EXTENSIBLE and size >= _EXTENSIBLE_BYTES:
            (coding,) = struct.unpack_from("<H", self._held, 8 + _SUB_FORMAT_AT)
        if coding != _PCM or bits % 8:
            raise AudioFormatError(f"a WAV file of coding {coding} with {bits} bits, not PCM")
        self._described = PcmFormat(rate, bits // 8, channels)
        return self._pass_by(size)

    def _pass_by(self, size: int) -> bool:
        del self._held[:8]
        self._skip = size + (size & 1)
        if self._skip > _MOST_HEAD_BYTES:
            raise AudioFormatError("a WAV file whose audio does not begin")
        return True


def _other_format(head: bytearray) -> str:
    """The name of a format that is neither PCM nor WAV, by its first bytes; empty where it may be PCM.

    Of MPEG's audio only layers II and III count: silence in PCM begins with 0xFFFF, the sync of layer I.
    """
    for magic, name in _MAGICS.items():
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        return "MP4"
    if head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return ""
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    if head[1] & 0xF6 == 0xF0:
        return "AAC"
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    return "MP3" if version != 1 and layer in {1, 2} and bitrate not in {0, 15} and rate != 3 else ""
