"""What may be heard over the agent: coughs, listeners' sounds, noises of a line, and people who interrupt.

Voices are espeak-ng's (of many people and languages), flite's where it is installed, and recorded ones where
``../shared/speech`` lies beside the repository. The caller of the demonstration is left out: the agent's
recogniser was tried on it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice

import numpy as np
import numpy.typing as npt

from app.engines.ports import VoiceSpec
from app.engines.tts.espeak import EspeakSynthesiser
from config.settings import ROOT
from telephony.media import g711
from telephony.media.frame import FRAME_SAMPLES, SAMPLE_RATE, Samples, silence
from telephony.simulator.speech import flite

RECORDED = ROOT.parent.parent / "shared" / "speech"

LISTENING = ("mm-hmm", "uh-huh", "yeah", "okay", "right", "mhm", "I see", "sure", "yes", "mm")
INTERRUPTING = (
    "wait",
    "stop",
    "excuse me, I have another question",
    "no, that is not what I asked",
    "can I speak to a person please",
    "sorry, where is my parcel",
    "hold on a moment",
    "actually I want to track a parcel",
    "what about Sunday",
    "I know that already",
    "hello, can you hear me",
    "I do not have the number",
)
_ESPEAK = ("en-us", "en-gb", "en-us+f3", "en-gb+f2", "en-us+m3", "en-gb-scotland", "en-us+f5", "en-gb+m7")
_FLITE = ("slt", "awb", "kal16")
_SHORT_RECORDINGS = ("alsa_", "cards_", "goforward")
DRAWN_OUT = "drawn-out backchannel"
_PEAK = 9000.0  # of a caller's voice: -11 dBFS

Signal = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Something heard over the agent."""

    kind: str
    text: str
    samples: Samples = field(repr=False)
    echo: float | None = None  # dB, of the agent's own voice on the line of the whole call

    @property
    def interrupts(self) -> bool:
        """A person who wants the floor."""
        return self.kind == "interruption"


async def not_interrupting(count: int) -> list[Sound]:
    """So many sounds that should not stop the agent, a quarter of each kind; and a quarter more, drawn out.

    A synthesiser speaks a lone "mm-hmm" slowly, 0.6 to 0.9 s; in a conversation it takes 0.3 to 0.5 s. The
    first are spoken at a conversation's pace, the drawn-out ones as slowly as they come.
    """
    random = np.random.default_rng(11)
    share = count // 4
    sounds = [Sound("cough", "", cough(random)) for _ in range(share)]
    sounds += [Sound("noise", "", line_noise(random, number)) for number in range(share)]
    sounds += [Sound("echo", "", silence(FRAME_SAMPLES), echo=-20.0) for _ in range(share)]
    sounds += await _spoken("backchannel", LISTENING, count - 3 * share, _ESPEAK, pace=1.35)
    return sounds + await _spoken(DRAWN_OUT, LISTENING, share, _ESPEAK)


async def interrupting(count: int) -> list[Sound]:
    """So many people who want the floor; up to a quarter of them recorded."""
    recorded = list(islice(_recorded(), count // 4))
    voices = (*_ESPEAK, *(_FLITE if shutil.which("flite") else ()))
    return recorded + await _spoken("interruption", INTERRUPTING, count - len(recorded), voices)


def cough(random: np.random.Generator) -> Samples:
    """One to three explosive bursts of breath, with formants and some voice, 0.15 to 0.7 s in all."""
    bursts = []
    for _ in range(int(random.integers(1, 4))):
        length = int(SAMPLE_RATE * random.uniform(0.12, 0.22))
        time = np.arange(length) / SAMPLE_RATE
        breath = random.normal(0, 1, length)
        for centre in random.uniform((400, 1200), (900, 2400)):
            breath += _resonance(random.normal(0, 1, length), centre) * 1.5
        voiced = np.sin(2 * np.pi * random.uniform(110, 260) * time) * random.uniform(0, 0.6)
        envelope = np.minimum(1, time / 0.008) * np.exp(-time / random.uniform(0.03, 0.08))
        bursts += [(breath + voiced) * envelope, np.zeros(int(SAMPLE_RATE * random.uniform(0.03, 0.1)))]
    return _levelled(np.concatenate(bursts), random.uniform(4000, 16000))


def line_noise(random: np.random.Generator, number: int) -> Samples:
    """By turns: a hiss, a hum, clicks, breathing on the microphone, keys of a keyboard."""
    length = int(SAMPLE_RATE * random.uniform(0.3, 2.0))
    time = np.arange(length) / SAMPLE_RATE
    match number % 5:
        case 0:
            signal = random.normal(0, 1, length)
        case 1:
            signal = np.sin(2 * np.pi * 50 * time) + 0.5 * np.sin(2 * np.pi * 150 * time)
        case 2:
            signal = np.where(random.random(length) < 0.002, random.choice((-1.0, 1.0), length), 0.0)
        case 3:
            signal = _resonance(random.normal(0, 1, length), 500) * np.sin(np.pi * time / time[-1]) ** 2
        case _:
            signal = np.zeros(length)
            for at in random.integers(0, length - 200, 8):
                signal[at : at + 200] += random.normal(0, 1, 200) * np.exp(-np.arange(200) / 40)
    return _levelled(signal, random.uniform(1500, 6000))


async def _spoken(
    kind: str, texts: tuple[str, ...], count: int, voices: tuple[str, ...], pace: float = 1.0
) -> list[Sound]:
    """Each text by the voices in turn, so that no text stays with one voice."""
    engine = EspeakSynthesiser()
    await engine.start()
    sounds = []
    try:
        for number in range(count):
            text, voice = (
                texts[number % len(texts)],
                voices[(number * 7 + number // len(texts)) % len(voices)],
            )
            if voice in _FLITE:
                samples = flite(text, voice)
            else:
                spec = VoiceSpec(voice, rate=pace + 0.05 * (number % 5))
                samples = np.concatenate([chunk.samples async for chunk in engine.speak(text, spec)])
            sounds.append(Sound(kind, text, _levelled(samples.astype(np.float64), _PEAK)))
    finally:
        await engine.close()
    return sounds


def _recorded() -> Iterator[Sound]:
    """Short recordings of people, over and over."""
    manifest = RECORDED / "manifest.json"
    if not manifest.is_file():
        return
    entries = [
        entry for entry in json.loads(manifest.read_text()) if entry["id"].startswith(_SHORT_RECORDINGS)
    ]
    for entry in cycle(entries):
        samples = g711.decode((RECORDED / entry["ulaw8k"]).read_bytes())
        yield Sound("interruption", entry["text"], _levelled(samples.astype(np.float64), _PEAK))


def _resonance(signal: Signal, hertz: float) -> Signal:
    """The signal through a formant of 150 Hz width."""
    spectrum = np.fft.rfft(signal)
    frequencies = np.fft.rfftfreq(len(signal), 1 / SAMPLE_RATE)
    shaped = np.fft.irfft(spectrum / (1 + ((frequencies - hertz) / 75) ** 2), len(signal))
    return np.asarray(shaped / max(1e-9, float(shaped.std())))


def _levelled(signal: Signal, peak: float) -> Samples:
    """With this peak; the line's own quiet after it."""
    scaled = signal * (peak / max(1.0, float(np.abs(signal).max())))
    return np.concatenate((scaled.astype(np.int16), silence(-len(scaled) % FRAME_SAMPLES)))
