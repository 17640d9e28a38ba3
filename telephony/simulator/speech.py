"""The caller's voice: text to 8 kHz audio, and WAV files.

The synthesiser must not be the agent's own, so that the recogniser is not tested on the voice it may
have been tuned with: flite's "rms" is used when it is installed, or whatever is handed in.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import wave
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np

from telephony.errors import TelephonyError
from telephony.media.frame import SAMPLE_RATE, Samples
from telephony.media.resample import Resampler

SpeakFn: TypeAlias = Callable[[str], Samples]
"""Text to mono PCM16 at 8 kHz. May block; it is called in a worker thread."""

FLITE_SECONDS = 30.0


class SpeechError(TelephonyError):
    """The caller's audio cannot be made or read; the message says what to do."""


def read_wav(path: Path) -> Samples:
    """A PCM16 WAV of any rate, its channels mixed, at 8 kHz. Raises ``SpeechError``."""
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (OSError, wave.Error, EOFError) as error:
        raise SpeechError(f"{path} cannot be read as a WAV file: {error}") from error
    if width != 2:
        raise SpeechError(f"{path} has {8 * width}-bit samples; convert it: sox {path.name} -b 16 out.wav")
    samples = np.frombuffer(data[: len(data) // (2 * channels) * 2 * channels], dtype="<i2")
    if channels > 1:
        samples = samples.reshape(-1, channels).mean(axis=1)
    return to_line_rate(samples.astype(np.int16), rate)


def to_line_rate(samples: Samples, rate: int) -> Samples:
    """Audio at any rate in Hz to 8 kHz."""
    if rate == SAMPLE_RATE:
        return samples
    resampler = Resampler(rate, SAMPLE_RATE)
    pieces = [resampler.push(samples[start : start + rate]) for start in range(0, len(samples), rate)]
    return np.concatenate([*pieces, resampler.flush(np.int16)])


def flite(text: str, voice: str = "rms") -> Samples:
    """Speech by the ``flite`` command. Raises ``SpeechError`` when it fails or is not installed."""
    command = shutil.which("flite")
    if command is None:
        raise SpeechError(
            "the caller needs a voice: apt-get install flite, or use 'play: file.wav' in place of 'say'"
        )
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "text"), Path(folder, "speech.wav")
        source.write_text(text, encoding="utf-8")
        try:
            subprocess.run(  # noqa: S603 - arguments are a list; the text goes through a file
                [command, "-voice", voice, "-f", str(source), "-o", str(target)],
                check=True,
                capture_output=True,
                timeout=FLITE_SECONDS,
            )
        except (subprocess.SubprocessError, OSError) as error:
            raise SpeechError(f"flite could not say {text!r}: {error}") from error
        return read_wav(target)


def default_voice(fallback: SpeakFn | None = None) -> SpeakFn:
    """flite when it is installed, else ``fallback``, else a voice that raises ``SpeechError`` when used.

    What was said once is kept.
    """
    speak = flite if shutil.which("flite") or fallback is None else fallback
    return lru_cache(maxsize=256)(speak)
