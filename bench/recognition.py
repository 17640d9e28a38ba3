"""How well and how fast the recogniser of the settings hears recorded speech over mu-law.

TRUNKLINE_ENGINES__STT=faster_whisper python -m bench.recognition

The recordings lie outside the repository, in ``../shared/speech``.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import yaml

from app.engines.build import build_recognisers
from app.engines.llm.matching import edit_distance
from app.engines.ports import UNCLEAR, Recogniser, RecognitionHints
from app.voice.language import normalise
from app.voice.profile import AgentProfile
from app.voice.session import hints_of
from bench.caller import Caller
from bench.pauses import FOLDER
from config.settings import AGENTS, ROOT, Settings
from telephony.media import g711
from telephony.media.frame import FRAME_SAMPLES, SAMPLE_RATE, Samples, silence
from telephony.simulator.report import table
from telephony.simulator.speech import read_wav

_LANGUAGE = "en-US"
_LEAST_LONG = 2.5  # seconds of the recordings that the callers at once speak
_BEFORE, _AFTER = silence(SAMPLE_RATE * 3 // 10), silence(SAMPLE_RATE * 12 // 100)  # of line, as in a call


@dataclass(frozen=True, slots=True)
class Recording:
    """What a caller says, and its text without case and punctuation."""

    samples: Samples
    text: str


def load_recordings() -> list[Recording]:
    """Those of real voices and of the demonstration. Raises ``SystemExit`` where the former are missing."""
    manifest = FOLDER / "manifest.json"
    if not manifest.is_file():
        raise SystemExit(f"{manifest} is missing: this measurement needs the recordings of ../shared/speech")
    found = [
        Recording(g711.decode((FOLDER / entry["ulaw8k"]).read_bytes()), normalise(entry["text"]))
        for entry in json.loads(manifest.read_text(encoding="utf-8"))
    ]
    with (ROOT / "demo" / "texts.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            samples = g711.decode(g711.encode(read_wav(ROOT / "demo" / f"{row['file']}.wav")))
            found.append(Recording(samples, normalise(row["text"])))
    return found


@dataclass(slots=True)
class Errors:
    """Of finals, and of the last interims before them, in words."""

    words: int = 0
    finals: int = 0
    interims: int = 0

    def add(self, said: str, final: str, interim: str) -> None:
        """Count one recording."""
        self.words += len(said.split())
        self.finals += edit_distance(said.split(), _words(final))
        self.interims += edit_distance(said.split(), _words(interim))


async def hear(
    engine: Recogniser, recordings: Sequence[Recording], hints: RecognitionHints, frame_seconds: float
) -> tuple[Errors, list[float]]:
    """One caller after another; the errors, and the seconds that each final took."""
    errors, took = Errors(), []
    for recording in recordings:
        caller = Caller(engine, hints)
        for piece in _frames(np.concatenate((_BEFORE, recording.samples, _AFTER))):
            caller.stream.push(piece)
            await asyncio.sleep(frame_seconds)
        began = time.perf_counter()
        caller.stream.finish_segment()
        final = await caller.next_final()
        took.append(time.perf_counter() - began)
        errors.add(recording.text, final.text, caller.interims[-1] if caller.interims else "")
        await caller.stream.close()
    return errors, took


async def hear_together(
    engine: Recogniser, recordings: Sequence[Recording], hints: RecognitionHints, callers: int
) -> tuple[list[float], list[float]]:
    """Callers who begin at once and never pause: seconds between interims, and that each final took."""
    long = [each for each in recordings if each.samples.size >= _LEAST_LONG * SAMPLE_RATE]
    speech = np.concatenate([each.samples for each in long])[: 10 * SAMPLE_RATE]
    speaking = [Caller(engine, hints) for _ in range(callers)]
    lines = [_frames(np.roll(speech, index * SAMPLE_RATE)) for index in range(callers)]
    began = time.monotonic()
    for number, pieces in enumerate(zip(*lines, strict=True)):
        for caller, piece in zip(speaking, pieces, strict=True):
            caller.stream.push(piece)
        await asyncio.sleep(max(0.0, began + (number + 1) * 0.02 - time.monotonic()))
    asked = time.monotonic()
    for caller in speaking:
        caller.stream.finish_segment()
    gaps: list[float] = []
    finals: list[float] = []
    for caller in speaking:
        await caller.next_final()
        finals.append(caller.heard_at[-1] - asked)
        gaps += [late - early for early, late in zip(caller.heard_at, caller.heard_at[1:-1], strict=False)]
        await caller.stream.close()
    return gaps, finals


async def measure(engine: Recogniser, callers: int) -> None:
    """Print the tables of one engine."""
    recordings = load_recordings()
    parcel = AgentProfile.model_validate(yaml.safe_load((AGENTS / "parcel.yaml").read_text(encoding="utf-8")))
    phrases: dict[str, Callable[[], RecognitionHints]] = {
        "none": lambda: RecognitionHints(_LANGUAGE),
        "of the agent parcel": lambda: hints_of(parcel),
        "what is said": lambda: RecognitionHints(_LANGUAGE, tuple(each.text for each in recordings)),
    }
    rows = []
    for name, hints in phrases.items():
        wanted = hints()
        await engine.prepare(wanted)
        real_time = FRAME_SAMPLES / SAMPLE_RATE if name == "none" else 0.0
        errors, took = await hear(engine, recordings, wanted, real_time)
        interims = f"{errors.interims / errors.words:.0%}" if real_time else ""
        rows.append((name, f"{errors.finals / errors.words:.0%}", interims, f"{median(took):.2f} s"))
    print(f"{len(recordings)} recordings, {errors.words} words, one caller at a time:\n")
    print(table(("phrases", "word errors of finals", "of last interims", "a final, p50"), rows))
    gaps, finals = await hear_together(engine, recordings, phrases["none"](), callers)
    print(f"\n{callers} callers who speak at once for 10 s without a pause:")
    if gaps:
        print(f"an interim every {median(gaps):.2f} s, the longest wait {max(gaps):.2f} s")
    print(f"finals asked for at the same moment came after {min(finals):.1f} to {max(finals):.1f} s")


async def run(callers: int) -> None:
    """Measure the first recogniser of the settings."""
    settings = Settings()
    engine, *others = build_recognisers(settings.engines, settings.models_dir)
    for other in others:
        await other.close()
    try:
        await engine.start()
        print(f"{engine.name}:")
        await measure(engine, callers)
    finally:
        await engine.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--callers", type=int, default=10, help="who speak at once (default 10)")
    asyncio.run(run(parser.parse_args(arguments).callers))
    return 0


def _words(text: str) -> list[str]:
    return [] if text == UNCLEAR else normalise(text).split()


def _frames(samples: Samples) -> list[Samples]:
    return [samples[start : start + FRAME_SAMPLES] for start in range(0, samples.size, FRAME_SAMPLES)]


if __name__ == "__main__":
    raise SystemExit(main())
