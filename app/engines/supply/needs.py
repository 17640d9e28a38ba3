"""What the engines named in the settings need, and whether it is there. Loads no engine, asks no server."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from app.engines.build import (
    build_detector,
    build_language_models,
    build_recognisers,
    build_synthesisers,
    build_translators,
    listed_names,
)
from app.engines.errors import EngineUnavailable
from app.engines.llm.scripted import ScriptedLanguageModel
from app.engines.models import find_model
from app.engines.mt.apertium_server import server_place
from app.engines.openai_client import chat_endpoint, speech_endpoint
from app.engines.supply.catalogue import Catalogue
from app.engines.supply.shelf import condition
from app.engines.tts.edge import check_endpoint
from app.engines.tts.piper_files import find_voice
from app.engines.wyoming import Address
from config.engines import EngineSettings

_PREFIX = "TRUNKLINE_ENGINES__"
_SMART_TURN = "smart-turn-v3.2-cpu"


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that an engine needs. ``model``: its name in the catalogue, where it is one of those."""

    port: str
    engine: str
    what: str
    met: bool
    advice: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """An engine in a port, and what there is to look at."""

    port: str
    engine: str
    settings: EngineSettings
    models: Path
    catalogue: Catalogue

    def library(self, *modules: str) -> Iterator[Need]:
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        advice = f"{', '.join(missing)} not installed; run 'make engines'" if missing else ""
        yield Need(self.port, self.engine, f"library {', '.join(modules)}", not missing, advice)

    def model(self, variable: str, given: str, find: Callable[[], object] | None = None) -> Need:
        """The model that a setting names: there, and as it was fetched, where that is known.

        ``find`` is the engine's own way to find it, where it has one.
        """
        what = f"model {given}"
        listed = self.catalogue.find(given)
        name = listed.name if listed else ""
        found = condition(listed, self.models) if listed else None
        if found and found.state == "damaged":
            advice = f"{'; '.join(found.problems)}; run 'trunkline models fetch {name}'"
            return Need(self.port, self.engine, what, False, advice, name)
        try:
            if find is not None:
                find()
            else:
                find_model(self.engine, f"{_PREFIX}{variable}", given, self.models)
        except EngineUnavailable as error:
            return Need(self.port, self.engine, what, False, error.message, name)
        notes = {"absent": ", put elsewhere", "unverified": ", put there by hand: nothing to compare it with"}
        note = ", which config/models.yaml does not list" if found is None else notes.get(found.state, "")
        return Need(self.port, self.engine, f"{what}{note}", True, model=name)

    def attempt(self, what: str, check: Callable[[], object]) -> Need:
        """Whether a check of an engine's own, that raises ``EngineUnavailable``, is content."""
        try:
            check()
        except EngineUnavailable as error:
            return Need(self.port, self.engine, what, False, error.message)
        return Need(self.port, self.engine, what, True)


def needs(settings: EngineSettings, models: Path, catalogue: Catalogue) -> list[Need]:
    """All needs of the engines named in the settings, port by port, fallbacks included."""
    found: list[Need] = []
    for port, names, build in (
        ("vad", settings.vad, lambda: [build_detector(settings)]),
        ("stt", settings.stt, lambda: build_recognisers(settings, models)),
        ("llm", settings.llm, lambda: build_language_models(settings)),
        ("tts", settings.tts, lambda: build_synthesisers(settings, models)),
        ("mt", settings.mt, lambda: build_translators(settings, ScriptedLanguageModel())),
    ):
        try:
            build()
        except EngineUnavailable as error:
            found.append(Need(port, port, "engines of these names", False, error.message))
        for name in listed_names(names):
            found += _of_engine(_Asked(port, name, settings, models, catalogue))
    if settings.smart_turn.path:
        found += _smart_turn(_Asked("turn", "smart_turn", settings, models, catalogue))
    return found


def known_engines() -> frozenset[tuple[str, str]]:
    """The ports and engines whose needs are known."""
    return frozenset(_NEEDS)


def _of_engine(asked: _Asked) -> Iterator[Need]:
    """Nothing for a name that is not known, which building told."""
    of = _NEEDS.get((asked.port, asked.engine.split(":", maxsplit=1)[0]), _nothing)
    yield from of(asked)


def _silero(asked: _Asked) -> Iterator[Need]:
    yield from asked.library("silero_vad", "onnxruntime")


def _pocketsphinx(asked: _Asked) -> Iterator[Need]:
    yield from asked.library("pocketsphinx")


def _faster_whisper(asked: _Asked) -> Iterator[Need]:
    yield from asked.library("faster_whisper", "ctranslate2")
    yield asked.model("FASTER_WHISPER__MODEL", asked.settings.faster_whisper.model)


def _sherpa_onnx(asked: _Asked) -> Iterator[Need]:
    yield from asked.library("sherpa_onnx")
    yield asked.model("SHERPA_ONNX__MODEL", asked.settings.sherpa_onnx.model)


def _vosk(asked: _Asked) -> Iterator[Need]:
    yield from asked.library("vosk")
    yield asked.model("VOSK__MODEL", asked.settings.vosk.model)


def _openai_stt(asked: _Asked) -> Iterator[Need]:
    group = asked.settings.openai_stt
    endpoint = speech_endpoint(asked.engine, "OPENAI_STT", group, asked.settings.openai)
    yield asked.attempt("settings OPENAI_STT", lambda: endpoint.check_complete(group.model))


def _openai_tts(asked: _Asked) -> Iterator[Need]:
    group = asked.settings.openai_tts
    endpoint = speech_endpoint(asked.engine, "OPENAI_TTS", group, asked.settings.openai)
    yield asked.attempt("settings OPENAI_TTS", lambda: endpoint.check_complete(group.model))


def _openai_llm(asked: _Asked) -> Iterator[Need]:
    _, _, name = asked.engine.partition(":")
    server = asked.settings.servers.get(name) if name else asked.settings.openai
    group = f"SERVERS__{name.upper()}" if name else "OPENAI"
    if server is not None:  # building told of one that has no settings
        endpoint = chat_endpoint(asked.engine, group, server)
        yield asked.attempt(f"settings {group}", lambda: endpoint.check_complete(server.model))


def _wyoming_stt(asked: _Asked) -> Iterator[Need]:
    yield _wyoming(asked, "STT_URL", asked.settings.wyoming.stt_url)


def _wyoming_tts(asked: _Asked) -> Iterator[Need]:
    yield _wyoming(asked, "TTS_URL", asked.settings.wyoming.tts_url)


def _wyoming(asked: _Asked, name: str, url: str) -> Need:
    variable = f"{_PREFIX}WYOMING__{name}"
    return asked.attempt(f"setting {variable}", lambda: Address.of(asked.engine, variable, url, 1.0))


def _espeak(asked: _Asked) -> Iterator[Need]:
    yield from asked.library("espeakng_loader")


def _piper(asked: _Asked) -> Iterator[Need]:
    yield from asked.library("piper")
    voice = asked.settings.piper.voice
    yield asked.model("PIPER__VOICE", voice, lambda: find_voice(voice, asked.models))


def _edge(asked: _Asked) -> Iterator[Need]:
    yield from asked.library("edge_tts", "av")
    url = asked.settings.edge.url
    yield asked.attempt(f"setting {_PREFIX}EDGE__URL", lambda: check_endpoint(url))


def _apertium(asked: _Asked) -> Iterator[Need]:
    if url := asked.settings.apertium.url:
        yield asked.attempt(f"setting {_PREFIX}APERTIUM__URL", lambda: server_place(url))
        return
    installed = shutil.which("apertium") is not None
    advice = f"install the Debian packages apertium and apertium-eng-spa, or set {_PREFIX}APERTIUM__URL"
    yield Need(asked.port, asked.engine, "the command apertium", installed, "" if installed else advice)


def _smart_turn(asked: _Asked) -> Iterator[Need]:
    path = Path(asked.settings.smart_turn.path)
    there = path.is_file()
    variable = f"{_PREFIX}SMART_TURN__PATH"
    advice = f"there is no {path}; run 'trunkline models fetch {_SMART_TURN}', or correct {variable}"
    told = "" if there else advice
    yield Need(asked.port, asked.engine, f"model {path.name}", there, told, _SMART_TURN)


def _nothing(asked: _Asked) -> Iterator[Need]:
    yield from ()


_NEEDS: dict[tuple[str, str], Callable[[_Asked], Iterator[Need]]] = {
    ("vad", "silero"): _silero,
    ("stt", "pocketsphinx"): _pocketsphinx,
    ("stt", "faster_whisper"): _faster_whisper,
    ("stt", "sherpa_onnx"): _sherpa_onnx,
    ("stt", "vosk"): _vosk,
    ("stt", "openai_compatible"): _openai_stt,
    ("stt", "wyoming"): _wyoming_stt,
    ("stt", "timed"): _nothing,
    ("llm", "openai_compatible"): _openai_llm,
    ("llm", "scripted"): _nothing,
    ("llm", "timed"): _nothing,
    ("tts", "espeak"): _espeak,
    ("tts", "piper"): _piper,
    ("tts", "edge"): _edge,
    ("tts", "openai_compatible"): _openai_tts,
    ("tts", "wyoming"): _wyoming_tts,
    ("tts", "timed"): _nothing,
    ("mt", "llm"): _nothing,
    ("mt", "apertium"): _apertium,
}
