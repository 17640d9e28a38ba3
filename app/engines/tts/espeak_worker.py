"""espeak-ng in a process of its own: a cancelled phrase stops within a piece of 60 ms."""

from __future__ import annotations

import json
from functools import partial

from app.engines.tts.espeak_library import Espeak
from app.engines.tts.speech_messages import VOICES
from app.engines.tts.speech_service import Refused, Request, Speech, SpeechService
from app.engines.wire import FAILED, READY, connect

_PAUSES = {".": 0.2, "!": 0.2, "?": 0.2, ":": 0.15, ";": 0.15, ",": 0.1}  # seconds; the library makes none


def _speak(espeak: Espeak, service: SpeechService, request: Request) -> None:
    if not espeak.set_voice(request.voice, request.rate, request.pitch):
        raise Refused(f"there is no voice {request.voice!r}")
    speech = Speech(service, request, espeak.sample_rate)
    espeak.synthesise(request.phrase, speech.take)
    speech.finish(_PAUSES.get(request.phrase.rstrip(" \"')”’")[-1:], 0.0))


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
    SpeechService(connection, partial(_speak, espeak)).run()


if __name__ == "__main__":
    main()
