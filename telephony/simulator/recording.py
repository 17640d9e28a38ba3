"""Recordings that the carrier makes of its calls, as its REST API starts, changes, lists and serves them.

Sources: Twilio, "Recordings resource" (``POST Calls/{sid}/Recordings``, and with ``Status``
``POST Calls/{sid}/Recordings/{sid}``; ``GET``, ``DELETE Recordings/{sid}``; the media at
``Recordings/{sid}.wav``, 404 until it is ready) and "Recording status callbacks".
"""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

import numpy as np

from telephony.media.frame import SAMPLE_RATE, Samples


@dataclass(slots=True)
class LineRecording:
    """One recording of one call: both voices from ``began``, a second of the call's line, on."""

    sid: str
    account_sid: str
    call_sid: str
    began: float
    callback: str = ""
    status: str = "in-progress"
    ended: float = 0.0
    pauses: list[list[float]] = field(default_factory=list)
    audio: Samples | None = field(default=None, repr=False)  # (n, 2), once the call is over

    def change(self, status: str, now: float) -> bool:
        """``paused``, ``in-progress`` or ``stopped``; False for another, or when it is over."""
        if self.status in {"stopped", "completed"} or status not in {"paused", "in-progress", "stopped"}:
            return False
        if self.status == "paused" and status != "paused":
            self.pauses[-1][1] = now
        if status == "paused" and self.status != "paused":
            self.pauses.append([now, float("inf")])
        if status == "stopped":
            self.ended = now
        self.status = status
        return True

    def complete(self, caller: Samples, agent: Samples, now: float) -> None:
        """The call is over; both voices are of its whole line."""
        self.ended = self.ended or now
        self.status = "completed"
        first, last = round(self.began * SAMPLE_RATE), round(self.ended * SAMPLE_RATE)
        audio = np.stack((caller, agent), axis=1)
        for begin, end in self.pauses:
            stop = round(min(end, self.ended) * SAMPLE_RATE)
            audio[round(begin * SAMPLE_RATE) : stop] = 0
        self.audio = audio[first:last]

    @property
    def seconds(self) -> float:
        """How long it is, once it is over."""
        return max(0.0, self.ended - self.began)

    def resource(self) -> dict[str, object]:
        """As the REST API shows it."""
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "call_sid": self.call_sid,
            "status": self.status,
            "channels": 2,
            "duration": str(round(self.seconds)) if self.status == "completed" else None,
            "source": "StartCallRecordingAPI",
            "date_created": format_datetime(datetime.now(UTC)),
        }

    def form(self, url: str) -> dict[str, str]:
        """The parameters of its status callback."""
        return {
            "AccountSid": self.account_sid,
            "CallSid": self.call_sid,
            "RecordingSid": self.sid,
            "RecordingUrl": url,
            "RecordingStatus": self.status,
            "RecordingDuration": str(round(self.seconds)),
            "RecordingChannels": "2",
            "RecordingSource": "StartCallRecordingAPI",
            "RecordingTrack": "both",
        }

    def wav(self) -> bytes:
        """The media, both channels: the caller's first. Empty while the call lasts."""
        if self.audio is None:
            return b""
        content = io.BytesIO()
        with wave.open(content, "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(self.audio.astype("<i2").tobytes())
        return content.getvalue()
