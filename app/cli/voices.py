"""``trunkline voices``: the voices that the engines have, and how one of them sounds."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import wave
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import uvloop

from app.cli.settings import read_settings
from app.engines.build import build_synthesisers
from app.engines.errors import EngineError
from app.engines.ports import Synthesiser, Voice, VoiceSpec
from config.engines import EngineSettings
from config.logging import configure_logging
from telephony.media.frame import SAMPLE_RATE, Samples


class VoiceNotHeard(Exception):
    """There is nothing to list or to hear. The message says what to do."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """An engine that has started, and the voices it has."""

    engine: Synthesiser
    voices: Sequence[Voice]


def voices(
    language: Annotated[str, typer.Option(help="Only voices of this language: en, de-AT.")] = "",
    engine: Annotated[str, typer.Option(help="Another engine than those in TRUNKLINE_ENGINES__TTS.")] = "",
    say: Annotated[str, typer.Option(help="Say this instead, into a file.")] = "",
    voice: Annotated[str, typer.Option(help="With --say: the voice's name; default: the engine's own.")] = "",
    out: Annotated[Path, typer.Option(help="With --say: the WAV to write.")] = Path("var/voice.wav"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the voices of the engines that speak, best first; or hear one as a caller would, at 8 kHz."""
    settings = read_settings()
    configure_logging("ERROR", as_json=settings.log_json)
    engines = settings.engines.model_copy(update={"tts": engine}) if engine else settings.engines

    async def work() -> None:
        async with _started(engines, settings.models_dir) as listed:
            if say:
                await _say(_with_voice(listed, voice), say, VoiceSpec(voice, language or "en-US"), out)
            else:
                _show(listed, language, as_json=as_json)

    try:
        uvloop.run(work())
    except (EngineError, VoiceNotHeard) as error:
        sys.exit(f"trunkline: {error}")


@asynccontextmanager
async def _started(settings: EngineSettings, models: Path) -> AsyncIterator[list[_Listed]]:
    """The engines that list their voices; what keeps others from it is printed to standard error."""
    engines = build_synthesisers(settings, models)
    try:
        listed = [found for found in [await _list(engine) for engine in engines] if found is not None]
        if not listed:
            raise VoiceNotHeard("none of the engines speaks now; see TRUNKLINE_ENGINES__TTS")
        yield listed
    finally:
        for engine in engines:
            await engine.close()


async def _list(engine: Synthesiser) -> _Listed | None:
    try:
        await engine.start()
        return _Listed(engine, await engine.voices())
    except EngineError as error:
        print(f"trunkline: {error}", file=sys.stderr)
        return None


def _show(listed: Sequence[_Listed], language: str, *, as_json: bool) -> None:
    rows = [
        {
            "engine": one.engine.name,
            "name": voice.name,
            "language": voice.language,
            "gender": voice.gender,
            "title": voice.title,
        }
        for one in listed
        for voice in one.voices
        if _speaks(voice, language)
    ]
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not rows:
        print(f"no voice of {language}" if language else "no voice")
        return
    widths = {name: max(len(row[name]) for row in rows) for name in rows[0]}
    for row in rows:
        print("  ".join(value.ljust(widths[name]) for name, value in row.items()).rstrip())


def _speaks(voice: Voice, language: str) -> bool:
    """Whether it is of this language, or of one of its regions."""
    spoken, wanted = voice.language.lower(), language.lower()
    return not wanted or spoken == wanted or spoken.startswith(f"{wanted}-")


def _with_voice(listed: Sequence[_Listed], name: str) -> Synthesiser:
    """The first engine that lists the voice; one that lists it not may know it all the same."""
    return next(
        (one.engine for one in listed if name in {voice.name for voice in one.voices}), listed[0].engine
    )


async def _say(engine: Synthesiser, text: str, voice: VoiceSpec, out: Path) -> None:
    began, first = time.perf_counter(), 0.0
    pieces: list[Samples] = []
    async for chunk in engine.speak(text, voice):
        first = first or time.perf_counter() - began
        pieces.append(chunk.samples)
    if not pieces:
        raise VoiceNotHeard(f"{engine.name} made no sound of this text")
    samples = np.concatenate(pieces)
    await asyncio.to_thread(_write, samples, out)
    seconds = samples.size / SAMPLE_RATE
    print(f"{out}: {seconds:.1f} s by {engine.name}, first audio after {first * 1000:.0f} ms")


def _write(samples: Samples, out: Path) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("wb") as raw, wave.open(raw, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(samples.astype("<i2").tobytes())
    except OSError as error:
        message = f"{out} cannot be written ({error.strerror}); name another file with --out"
        raise VoiceNotHeard(message) from None
