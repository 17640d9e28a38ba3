"""Piper, GPL-3, in a process of its own: ``python -m app.engines.tts.piper_worker FD VOICE.onnx THREADS``.

A voice's name in a request is its file, a line's end, and the speaker. A cancelled phrase stops within 10 ms,
in the middle of a sentence too.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from functools import partial
from math import gcd
from pathlib import Path

from app.engines.tts.piper_voice import LoadedVoice, Manner, Sentence, Voices
from app.engines.tts.speech_service import Refused, Request, Speech, SpeechService, Word
from app.engines.wire import FAILED, READY, connect
from telephony.media.frame import SAMPLE_RATE

_LOOK_SECONDS = 0.01  # from one look for a cancellation to the next
_PIECE_SECONDS = 0.2
_RATES, _PITCHES = (0.5, 2.0), (0.8, 1.25)


def _speak(voices: Voices, service: SpeechService, request: Request) -> None:
    file, _, speaker = request.voice.partition("\n")
    path = Path(file)
    try:
        voice = voices.get(path)
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise for a broken file
        raise Refused(_broken(path, error)) from None
    manner = Manner(speaker, _within(request.rate, _RATES), _within(request.pitch, _PITCHES))
    rate = voice.source_rate(manner.pitch)
    speech = Speech(service, request, rate)
    sentences = voice.sentences(request.phrase, manner)
    begin = 0
    try:
        while (sentence := _next(sentences, voice, service, request)) is not None:
            if _send(sentence, begin, rate, speech):
                return
            begin += sentence.samples.size
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise for a phrase, or a stopped sentence
        if service.is_cancelled(request):
            return
        raise Refused(f"voice {path.stem} cannot speak this phrase ({type(error).__name__})") from None
    speech.finish()


def _next(
    sentences: Iterator[Sentence], voice: LoadedVoice, service: SpeechService, request: Request
) -> Sentence | None:
    """The next sentence, while another thread looks whether the request is cancelled."""
    made = threading.Event()

    def look() -> None:
        while not made.wait(_LOOK_SECONDS):
            if service.is_cancelled(request):
                voice.stop()

    looking = threading.Thread(target=look)
    looking.start()
    try:
        return next(sentences, None)
    finally:
        made.set()
        looking.join()


def _send(sentence: Sentence, begin: int, rate: int, speech: Speech) -> bool:
    """Send it in pieces; ``True`` once the request is cancelled."""
    block = rate // gcd(rate, SAMPLE_RATE)
    piece = round(rate * _PIECE_SECONDS / block) * block or block
    words = [Word(word.char, begin + word.sample) for word in sentence.words]
    for at in range(0, sentence.samples.size, piece):
        if speech.take(sentence.samples[at : at + piece], words):
            return True
        words = []
    return False


def _within(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])


def _broken(path: Path, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200]
    return f"voice {path.stem} cannot be loaded ({type(error).__name__}: {reason}); put its files there again"


def main() -> None:
    """Serve until the parent closes the connection."""
    connection = connect()
    path, voices = Path(sys.argv[2]), Voices(int(sys.argv[3]))
    try:
        first = voices.get(path)
        for _ in first.sentences("a", Manner("", 1.0, 1.0)):
            pass  # the first run is slower than all later ones
    except Exception as error:  # noqa: BLE001 - whatever the libraries raise for a broken file
        connection.send(FAILED, _broken(path, error).encode())
        return
    connection.send(READY)
    SpeechService(connection, partial(_speak, voices)).run()


if __name__ == "__main__":
    main()
