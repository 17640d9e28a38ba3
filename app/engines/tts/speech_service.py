"""A worker process that speaks: takes phrases one after another, sends their audio at 8 kHz."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import gcd

import numpy as np
import numpy.typing as npt

from app.engines.tts.speech_messages import (
    AUDIO,
    AUDIO_HEAD,
    CANCEL,
    DONE,
    REFUSED,
    REQUEST,
    SPEAK,
    SPEAK_HEAD,
    WORD,
)
from app.engines.wire import Connection
from telephony.media.frame import SAMPLE_RATE
from telephony.media.resample import Resampler

_FIRST_SAMPLES = 400  # the first piece leaves as soon as 50 ms are made
_LATER_SAMPLES = 2400  # later ones are larger: the listener is then ahead anyway


class Refused(Exception):
    """A phrase cannot be spoken; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """A phrase to be spoken, and how."""

    number: int
    phrase: str
    voice: str
    rate: float
    pitch: float


@dataclass(frozen=True, slots=True)
class Word:
    """A word: where it begins in the text (characters from 0) and in the audio (samples of the source)."""

    char: int
    sample: int


class SpeechService:
    """Takes requests in order. ``speak`` makes a request's audio; it may raise ``Refused``."""

    def __init__(self, connection: Connection, speak: Callable[[SpeechService, Request], None]) -> None:
        self.connection = connection
        self._speak = speak
        self._waiting: deque[Request] = deque()
        self._cancelled: set[int] = set()

    def run(self) -> None:
        """Serve until the parent closes the connection."""
        while self.connection.open or self._waiting:
            self._receive(None if not self._waiting else 0.0)
            if self._waiting:
                request = self._waiting.popleft()
                self._answer(request)
                self._cancelled.discard(request.number)

    def is_cancelled(self, request: Request) -> bool:
        """Whether nobody waits for the rest of this request."""
        self._receive(0.0)
        return request.number in self._cancelled or not self.connection.open

    def _receive(self, timeout: float | None) -> None:
        for kind, body in self.connection.receive(timeout):
            if kind == SPEAK:
                self._waiting.append(_request(body))
            elif kind == CANCEL:
                self._cancelled.add(REQUEST.unpack_from(body)[0])
        if not self.connection.open:
            self._waiting.clear()

    def _answer(self, request: Request) -> None:
        number = REQUEST.pack(request.number)
        try:
            if not self.is_cancelled(request):
                self._speak(self, request)
        except Refused as refused:
            self.connection.send(REFUSED, number + str(refused).encode())
        else:
            self.connection.send(DONE, number)


class Speech:
    """One request's audio on its way out, from ``rate`` Hz."""

    def __init__(self, service: SpeechService, request: Request, rate: int) -> None:
        self._service, self._request = service, request
        self._resampler = Resampler(rate, SAMPLE_RATE)
        self._scale = SAMPLE_RATE / rate
        self._block = rate // gcd(rate, SAMPLE_RATE)
        self._rest: npt.NDArray[np.int16] = np.empty(
            0, dtype=np.int16
        )  # less than a block, not yet converted
        self._pieces: list[npt.NDArray[np.int16]] = []
        self._words: list[tuple[int, int]] = []
        self._held = 0  # samples in _pieces
        self._sent = 0
        self._least = _FIRST_SAMPLES

    def take(self, samples: npt.NDArray[np.int16], words: list[Word]) -> bool:
        """Add a piece and the words that begin in it; ``True`` once the request is cancelled."""
        if self._service.is_cancelled(self._request):
            return True
        delay = self._resampler.delay_seconds * SAMPLE_RATE
        self._words += [(word.char, round(word.sample * self._scale + delay)) for word in words]
        ready = np.concatenate((self._rest, samples))
        whole = ready.size // self._block * self._block  # whole blocks keep the resampler's plans few
        self._rest = ready[whole:]
        self._add(self._resampler.push(ready[:whole]))
        return False

    def finish(self, pause_seconds: float = 0.0) -> None:
        """Send the rest, with a pause after it."""
        if self._service.is_cancelled(self._request):
            return
        self._pieces += [self._resampler.push(self._rest), self._resampler.flush(np.int16)]
        self._pieces.append(np.zeros(round(pause_seconds * SAMPLE_RATE), dtype=np.int16))
        self._held = sum(piece.size for piece in self._pieces)
        self._send()

    def _add(self, samples: npt.NDArray[np.int16]) -> None:
        self._pieces.append(samples)
        self._held += samples.size
        if self._held >= self._least:
            self._send()

    def _send(self) -> None:
        end = self._sent + self._held
        words = [word for word in self._words if word[1] < end]
        self._words = self._words[len(words) :]
        self._service.connection.send(
            AUDIO,
            AUDIO_HEAD.pack(self._request.number, len(words))
            + b"".join(WORD.pack(*word) for word in words)
            + b"".join(piece.tobytes() for piece in self._pieces),
        )
        self._pieces.clear()
        self._sent, self._held, self._least = end, 0, _LATER_SAMPLES


def _request(body: bytes) -> Request:
    number, rate, pitch, voice_bytes = SPEAK_HEAD.unpack_from(body)
    text_at = SPEAK_HEAD.size + voice_bytes
    return Request(number, body[text_at:].decode(), body[SPEAK_HEAD.size : text_at].decode(), rate, pitch)
