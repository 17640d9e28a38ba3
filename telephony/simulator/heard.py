"""What a call was like at the caller's end: both voices on one time line, and what happened when.

Times are seconds on the call's line, which begins with the first media stream's ``start``.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import numpy as np

from telephony.media import level
from telephony.media.frame import SAMPLE_RATE, Samples
from telephony.simulator import wire


class EventKind(StrEnum):
    """What happened on the line."""

    STREAM_STARTED = "stream started"
    STREAM_ENDED = "stream ended"
    MARK_PLACED = "mark placed"
    MARK_ECHOED = "mark echoed"
    CLEARED = "cleared"
    DTMF = "dtmf"
    CARRIER_SAYS = "carrier says"
    DIALLED = "dialled"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class LineEvent:
    """One thing that happened ``at`` a time; ``detail`` is a mark's name, a key, a text."""

    at: float
    kind: EventKind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Violation:
    """A message of the server's that Twilio would warn about; ``code`` is Twilio's, 0 where it has none."""

    at: float
    code: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """Something the caller can say: the audio, and the frames made of it once.

    ``onset`` and ``end`` are the first audible sample and the one after the last.
    """

    samples: Samples = field(repr=False)
    text: str
    frames: tuple[str, ...] = field(repr=False)
    onset: int
    end: int

    @classmethod
    def of(cls, samples: Samples, text: str = "") -> Utterance:
        """Prepare audio for any number of calls. Raises ``ValueError`` when nothing in it is audible."""
        span = level.heard_span(samples)
        if span is None:
            raise ValueError("nothing in the caller's audio is loud enough to be heard (above -40 dBFS)")
        return cls(samples, text, wire.frame_payloads(samples), span[0], span[1])


@dataclass(frozen=True, slots=True)
class Spoken:
    """An utterance on the call's line: when it began, its audible part, when its last frame was out."""

    utterance: Utterance
    begin: float

    @property
    def onset(self) -> float:
        """When its first audible sample was spoken."""
        return self.begin + self.utterance.onset / SAMPLE_RATE

    @property
    def end(self) -> float:
        """When its last audible sample ended."""
        return self.begin + self.utterance.end / SAMPLE_RATE

    @property
    def until(self) -> float:
        """When its last frame ended."""
        return self.begin + len(self.utterance.frames) * 0.02


@dataclass(frozen=True, slots=True)
class PlacedMark:
    """A mark that the server placed ``at`` a time, to be reached at ``due`` unless audio is cleared."""

    name: str
    at: float
    due: float


@dataclass(frozen=True, slots=True)
class Request:
    """A webhook or callback that the carrier sent, and the answer's HTTP status (0: no answer)."""

    purpose: str
    url: str
    status: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LineCounts:
    """Totals of one call. ``late`` is how far behind its clock this client ever sent a frame, in seconds."""

    frames_sent: int = 0
    messages_received: int = 0
    samples_received: int = 0
    samples_overflowed: int = 0
    samples_cleared: int = 0
    gaps: int = 0
    longest_lead: float = 0.0
    late: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class HeardCall:
    """One finished call. ``caller`` and ``agent`` are of equal length, 8 kHz, and begin together;
    both are empty when the audio was not kept.
    """

    call_sid: str
    from_number: str
    to_number: str
    began: datetime
    caller: Samples = field(repr=False)
    agent: Samples = field(repr=False)
    spoken: tuple[Spoken, ...]
    events: tuple[LineEvent, ...]
    violations: tuple[Violation, ...]
    twiml: tuple[str, ...]
    requests: tuple[Request, ...]
    hung_up_by: str  # "caller", "agent", "carrier" or "rejected"
    dialled: tuple[str, ...]
    counts: LineCounts
    setup: float  # seconds from the request to the webhook to the open media socket
    duration: float  # seconds from the first stream's start to the end of the call

    def write_wav(self, path: Path) -> None:
        """What the caller heard, mono. Raises ``OSError``."""
        write_wav(path, self.agent)

    def write_stereo_wav(self, path: Path) -> None:
        """Both voices: left the caller, right the agent. Raises ``OSError``."""
        write_wav(path, np.stack([self.caller, self.agent], axis=1))


def write_wav(path: Path, samples: Samples) -> None:
    """PCM16 at 8 kHz; ``(n,)`` is mono, ``(n, 2)`` stereo. Raises ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
