"""The part of espeak-ng's C interface (``speak_lib.h``, API revision 12) that is used, through ctypes.

Not thread-safe and GPL-3: only the worker process loads it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from app.engines.tts.speech_service import Word

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: audio goes to the callback, espeak_Synth returns when done
_DONT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT
_CHARS_UTF8 = 1
_POSITION_CHARACTER = 1
_RATE, _VOLUME, _PITCH = 1, 2, 3
_NORMAL_RATE = 175  # words a minute
_NORMAL_PITCH = 50  # of 0-99
_SLOWEST, _FASTEST = 80, 450
_LEVEL = 90  # of 100: active speech of the usual voices lies at -19.5 to -21 dBFS, peaks below -1 dBFS
_EVENT_END, _EVENT_WORD = 0, 1


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # in characters, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_uint64),  # a union of int, pointer and char[8]
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),  # a priority byte, the language, zero; and again; zero
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


Sink = Callable[[npt.NDArray[np.int16], list[Word]], bool]
"""Takes a piece of about 60 ms and the words that begin in it; ``True`` stops the synthesis at once."""


class Espeak:
    """espeak-ng in this process. Raises ``OSError`` when the library or its data are missing."""

    def __init__(self) -> None:
        import espeakng_loader  # noqa: PLC0415 - GPL-3: only a worker that synthesises loads it

        self._library: Any = ctypes.CDLL(str(espeakng_loader.get_library_path()))
        data = str(espeakng_loader.get_data_path()).encode()
        self.sample_rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DONT_EXIT)
        if self.sample_rate <= 0:
            raise OSError(f"espeak-ng found no usable data in {data.decode()}")
        self._callback = _Callback(self._on_audio)  # must outlive the library's use of it
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        self._library.espeak_SetParameter(_VOLUME, _LEVEL, 0)
        self._voices = self._list_voices()
        self._sink: Sink | None = None
        self._settings: tuple[str, float, float] | None = None

    def voices(self) -> list[tuple[str, str]]:
        """Language code (which is the voice's name to us) and title of every voice."""
        return [(language, title) for language, (_, title) in self._voices.items()]

    def _list_voices(self) -> dict[str, tuple[str, str]]:
        """Language code -> the library's identifier (not every code names a voice) and the title."""
        entries = self._library.espeak_ListVoices(None)
        found: dict[str, tuple[str, str]] = {}
        index = 0
        while entries[index]:
            voice = entries[index].contents
            language = ctypes.string_at(voice.languages + 1).decode()
            found.setdefault(language, (voice.identifier.decode(), voice.name.decode()))
            index += 1
        return found

    def set_voice(self, name: str, rate: float, pitch: float) -> bool:
        """Use this voice from now on; ``False``: there is none of that name. Factors of the normal ones."""
        if self._settings == (name, rate, pitch):
            return True
        base, plus, variant = name.partition("+")
        identifier, _ = self._voices.get(base, (base, ""))
        if self._library.espeak_SetVoiceByName(f"{identifier}{plus}{variant}".encode()) != 0:
            self._settings = None
            return False
        words_a_minute = min(max(round(_NORMAL_RATE * rate), _SLOWEST), _FASTEST)
        self._library.espeak_SetParameter(_RATE, words_a_minute, 0)
        self._library.espeak_SetParameter(_PITCH, min(max(round(_NORMAL_PITCH * pitch), 0), 99), 0)
        self._settings = (name, rate, pitch)
        return True

    def synthesise(self, text: str, sink: Sink) -> None:
        """Speak the text into ``sink``; returns when all of it is made or the sink stopped it."""
        encoded = text.replace("\0", " ").encode("utf-8", "replace") + b"\0"
        self._sink = sink
        try:
            self._library.espeak_Synth(
                encoded, len(encoded), 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None
            )
        finally:
            self._sink = None

    def _on_audio(self, wave: Any, count: int, events: Any) -> int:
        words: list[Word] = []
        index = 0
        while events[index].type != _EVENT_END:
            event = events[index]
            if event.type == _EVENT_WORD:
                words.append(Word(event.text_position - 1, event.sample))
            index += 1
        has_audio = bool(wave) and count > 0
        samples = np.ctypeslib.as_array(wave, (count,)).copy() if has_audio else np.empty(0, dtype=np.int16)
        return 1 if self._sink is None or self._sink(samples, words) else 0
