"""Piper's voices among the models: ``VOICE.onnx`` and ``VOICE.onnx.json``, there or in a folder ``VOICE``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from app.engines.errors import EngineUnavailable
from app.engines.models import find_model
from app.engines.ports import Voice

NAME = "piper"
VARIABLE = "TRUNKLINE_ENGINES__PIPER__VOICE"
_MOST_SPEAKERS = 20  # of a voice that are listed; others are spoken with all the same
_CODE = re.compile(r"([a-z]{2,3})[_-]([A-Z]{2})")


@dataclass(frozen=True, slots=True)
class VoiceFiles:
    """A voice's model, beside which its ``.json`` is, and what that says."""

    path: Path
    language: str
    title: str
    speakers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called in settings and agents."""
        return self.path.stem

    def voices(self) -> Iterator[Voice]:
        """The voice, and where it has several speakers, each of them as ``VOICE#SPEAKER``."""
        yield Voice(self.name, self.language, title=self.title)
        for speaker in self.speakers[:_MOST_SPEAKERS]:
            yield Voice(f"{self.name}#{speaker}", self.language, title=f"{self.title}, speaker {speaker}")


def find_voice(given: str, models: Path) -> VoiceFiles:
    """The voice that the setting names. Raises ``EngineUnavailable``; the message says where to put it."""
    is_path = "/" in given or given.startswith((".", "~"))
    place = Path(given).expanduser() if is_path else models / given
    name = place.name.removesuffix(".onnx")
    for path in (place.with_name(f"{name}.onnx"), place / f"{name}.onnx"):
        if path.is_file():
            return _read(path.resolve())
    find_model(NAME, VARIABLE, given, models)
    raise EngineUnavailable(
        NAME, f"{place} holds no voice: it needs {name}.onnx and {name}.onnx.json; see {VARIABLE}"
    )


def list_voices(models: Path) -> tuple[VoiceFiles, ...]:
    """The voices among the models, by name; files that are not a voice's are passed over."""
    found: list[VoiceFiles] = []
    for path in sorted([*models.glob("*.onnx"), *models.glob("*/*.onnx")]):
        in_its_place = path.parent == models or path.parent.name == path.stem
        if in_its_place and Path(f"{path}.json").is_file():
            try:
                found.append(_read(path.resolve()))
            except EngineUnavailable:
                continue  # some other engine's
    return tuple(found)


def _read(path: Path) -> VoiceFiles:
    described = Path(f"{path}.json")
    try:
        given = orjson.loads(described.read_bytes())
        _ = given["phoneme_id_map"], given["audio"]["sample_rate"]
        speakers = tuple(given.get("speaker_id_map") or ())
        return VoiceFiles(path, _language(given, path), _title(given, path), speakers)
    except FileNotFoundError:
        raise EngineUnavailable(NAME, f"{described} is missing; it comes with the voice") from None
    except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        reason = type(error).__name__
        raise EngineUnavailable(NAME, f"{described} is no description of a voice ({reason})") from None


def _language(given: dict[str, dict[str, str]], path: Path) -> str:
    """BCP 47, of the description, the name, or the phonemes."""
    for text in ((given.get("language") or {}).get("code", ""), path.stem):
        if code := _CODE.match(text):
            return f"{code[1]}-{code[2]}"
    root, _, region = given["espeak"]["voice"].partition("-")
    return f"{root}-{region.upper()}" if len(region) == 2 else root


def _title(given: dict[str, object], path: Path) -> str:
    dataset = given.get("dataset")
    return f"Piper {dataset}" if isinstance(dataset, str) and dataset else f"Piper {path.stem}"
