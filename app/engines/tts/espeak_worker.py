"""espeak-ng in a process of its own: takes phrases one after another, sends their audio at 8 kHz."""

from __future__ import annotations

import json
from collections import deque
from math import gcd

import numpy as np
import numpy.typing as npt

from app.engines.tts.espeak_library import Espeak, Word
from app.engines.tts.espeak_messages import (
    AUDIO,
    AUDIO_HEAD,
    CANCEL,
    DONE,
    REFUSED,
    REQUEST,
    SPEAK,
    SPEAK_HEAD,
    VOICES,
    WORD,
)
from app.engines.wire import FAILED, READY, Connection, connect
from telephony.media.frame import SAMPLE_RATE
from telephony.media.resample import Resampler

_FIRST_SAMPLES = 400  # the first piece leaves as soon as 50 ms are made
_LATER_SAMPLES = 2400  # later ones are larger: the listener is then ahead anyway
_PAUSES = {".": 0.2, "!": 0.2, "?": 0.2, ":": 0.15, ";": 0.15, ",": 0.1}  # seconds; the library makes none


class _Speech:
    """One request's audio on its way out."""

    def __init__(self, service: _Service, request: int) -> None:
        self._service, self._request = service, request
        self._resampler = Resampler(service.espeak.sample_rate, SAMPLE_RATE)
        self._block = service.espeak.sample_rate // gcd(service.espeak.sample_rate, SAMPLE_RATE)
        self._rest: npt.NDArray[np.int16] = np.empty(
            0, dtype=np.int16
        )  # less than a block, not yet converted
        self._pieces: list[npt.NDArray[np.int16]] = []
        self._words: list[tuple[int, int]] = []
        self._held = 0  # samples in _pieces
        self._sent = 0
        self._least = _FIRST_SAMPLES

    def take(self, samples: npt.NDArray[np.int16], words: list[Word]) -> bool:
        """Add a piece; ``True`` once the request is cancelled."""
        if self._service.is_cancelled(self._request):
            return True
        scale = SAMPLE_RATE / self._service.espeak.sample_rate
        delay = self._resampler.delay_seconds * SAMPLE_RATE
        self._words += [(word.char, round(word.sample * scale + delay)) for word in words]
        ready = np.concatenate((self._rest, samples))
        whole = ready.size // self._block * self._block  # whole blocks keep the resampler's plans few
        self._rest = ready[whole:]
        self._add(self._resampler.push(ready[:whole]))
        return False

    def _add(self, samples: npt.NDArray[np.int16]) -> None:
        self._pieces.append(samples)
        self._held += samples.size
        if self._held >= self._least:
            self._send()

    def finish(self, phrase: str) -> None:
        """Send the rest, with the pause that the phrase's last character asks for."""
        self._pieces += [self._resampler.push(self._rest), self._resampler.flush(np.int16)]
        pause = _PAUSES.get(phrase.rstrip(" \"')”’")[-1:], 0.0)
        self._pieces.append(np.zeros(round(pause * SAMPLE_RATE), dtype=np.int16))
        self._held = sum(piece.size for piece in self._pieces)
        self._send()

    def _send(self) -> None:
        end = self._sent + self._held
        words = [word for word in self._words if word[1] < end]
        self._words = self._words[len(words) :]
        self._service.connection.send(
            AUDIO,
            AUDIO_HEAD.pack(self._request, len(words))
            + b"".join(WORD.pack(*word) for word in words)
            + b"".join(piece.tobytes() for piece in self._pieces),
        )
        self._pieces.clear()
        self._sent, self._held, self._least = end, 0, _LATER_SAMPLES


class _Service:
    """Takes requests in order; looks for a cancellation before every piece of 60 ms."""

    def __init__(self, connection: Connection, espeak: Espeak) -> None:
        self.connection, self.espeak = connection, espeak
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._cancelled: set[int] = set()

    def run(self) -> None:
        while self.connection.open or self._waiting:
            self._receive(None if not self._waiting else 0.0)
            if self._waiting:
                request, body = self._waiting.popleft()
                self._speak(request, body)
                self._cancelled.discard(request)

    def is_cancelled(self, request: int) -> bool:
        self._receive(0.0)
        return request in self._cancelled or not self.connection.open

    def _receive(self, timeout: float | None) -> None:
        for kind, body in self.connection.receive(timeout):
            (request,) = REQUEST.unpack_from(body)
            if kind == SPEAK:
                self._waiting.append((request, body))
            elif kind == CANCEL:
                self._cancelled.add(request)
        if not self.connection.open:
            self._waiting.clear()

    def _speak(self, request: int, body: bytes) -> None:
        if self.is_cancelled(request):
            return
        _, rate, pitch, voice_bytes = SPEAK_HEAD.unpack_from(body)
        text_at = SPEAK_HEAD.size + voice_bytes
        voice = body[SPEAK_HEAD.size : text_at].decode()
        phrase = body[text_at:].decode()
        if not self.espeak.set_voice(voice, rate, pitch):
            self.connection.send(REFUSED, REQUEST.pack(request) + f"there is no voice {voice!r}".encode())
            return
        speech = _Speech(self, request)
        self.espeak.synthesise(phrase, speech.take)
        if not self.is_cancelled(request):
            speech.finish(phrase)
            self.connection.send(DONE, REQUEST.pack(request))


def main() -> None:
    """Serve until the parent closes the connection."""
    connection = connect()
    try:
        espeak = Espeak()
    except OSError as error:
        connection.send(FAILED, str(error).encode())
        return
    connection.send(VOICES, json.dumps(espeak.voices()).encode())
    connection.send(READY)
    _Service(connection, espeak).run()


if __name__ == "__main__":
    main()
