"""Engine names to engines. Each is imported when it is asked for, so that a profile loads only its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from app.engines.errors import EngineUnavailable
from app.engines.fallback.choice import Fallback
from app.engines.fallback.language_model import FallbackLanguageModel
from app.engines.fallback.recogniser import FallbackRecogniser
from app.engines.fallback.roster import Note
from app.engines.fallback.synthesiser import FallbackSynthesiser
from app.engines.fallback.translator import FallbackTranslator
from app.engines.ports import (
    Engine,
    LanguageModel,
    Recogniser,
    Synthesiser,
    Translator,
    TurnDetector,
    VoiceActivityDetector,
)
from app.engines.tts.cached import CachedSynthesiser
from config.engines import EngineSettings

DETECTORS = ("silero",)
RECOGNISERS = (
    "pocketsphinx",
    "faster_whisper",
    "sherpa_onnx",
    "vosk",
    "openai_compatible",
    "wyoming",
    "timed",
)
LANGUAGE_MODELS = ("openai_compatible", "openai_compatible:NAME", "scripted", "timed")
SYNTHESISERS = ("espeak", "piper", "edge", "openai_compatible", "wyoming", "timed")
TRANSLATORS = ("llm", "apertium")

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines that calls use, built but not started."""

    detector: VoiceActivityDetector
    recogniser: Recogniser
    language_model: LanguageModel
    synthesiser: Synthesiser
    turn: TurnDetector | None = None
    translator: Translator | None = None

    def all(self) -> tuple[Engine, ...]:
        """Those that there are, to be started and closed."""
        found = (
            self.detector,
            self.recogniser,
            self.language_model,
            self.synthesiser,
            self.turn,
            self.translator,
        )
        return tuple(engine for engine in found if engine is not None)

    def for_call(self, note: Note) -> Engines:
        """As one call uses them; ``note`` writes into its record when it goes from one engine to another."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltEngines(Engines):
    """The engines named in the settings, with their fallbacks; the synthesiser keeps what is prepared."""

    recogniser: FallbackRecogniser
    language_model: FallbackLanguageModel
    synthesiser: CachedSynthesiser
    translator: FallbackTranslator | None
    voices: FallbackSynthesiser

    def for_call(self, note: Note) -> Engines:
        """See ``Engines.for_call``."""
        return Engines(
            detector=self.detector,
            recogniser=self.recogniser.for_call(note),
            language_model=self.language_model.for_call(note),
            synthesiser=self.synthesiser.speaking_with(self.voices.for_call(note)),
            turn=self.turn,
            translator=None if self.translator is None else self.translator.for_call(note),
        )

    @property
    def lists(self) -> tuple[Fallback[Any], ...]:
        """The engines of each port that has fallbacks, to be watched."""
        found = (self.recogniser, self.language_model, self.voices, self.translator)
        return tuple(engines for engines in found if engines is not None)


def build_engines(settings: EngineSettings, models: Path) -> BuiltEngines:
    """The engines named in the settings; ``models``: the folder of their models.

    Raises ``EngineUnavailable`` for a name it does not know.
    """
    fallback = settings.fallback
    language_model = FallbackLanguageModel(build_language_models(settings), fallback)
    voices = FallbackSynthesiser(build_synthesisers(settings, models), fallback)
    translators = build_translators(settings, language_model)
    return BuiltEngines(
        detector=build_detector(settings),
        recogniser=FallbackRecogniser(build_recognisers(settings, models), fallback),
        language_model=language_model,
        synthesiser=CachedSynthesiser(voices),
        turn=build_turn_detector(settings),
        translator=FallbackTranslator(translators, fallback) if translators else None,
        voices=voices,
    )


def build_detector(settings: EngineSettings) -> VoiceActivityDetector:
    """The voice activity detector named by ``vad``: one, since it runs in this process and knows no peer."""
    names = _names("vad", settings.vad)
    if len(names) > 1:
        raise EngineUnavailable("vad", f"{_variable('vad')} names {len(names)} detectors; name one")
    match names[0]:
        case "silero":
            from app.engines.vad.silero import SileroVad  # noqa: PLC0415

            return SileroVad()
        case name:
            raise _unknown("vad", name, DETECTORS)


def build_recognisers(settings: EngineSettings, models: Path) -> list[Recogniser]:
    """The recognisers named by ``stt``, best first."""
    return _each("stt", settings.stt, lambda name: _recogniser(name, settings, models))


def _recogniser(name: str, settings: EngineSettings, models: Path) -> Recogniser:
    match name:
        case "pocketsphinx":
            from app.engines.stt.pocketsphinx import PocketsphinxRecogniser  # noqa: PLC0415

            return PocketsphinxRecogniser(settings.pocketsphinx)
        case "faster_whisper":
            from app.engines.stt.faster_whisper import FasterWhisperRecogniser  # noqa: PLC0415

            return FasterWhisperRecogniser(settings.faster_whisper, models)
        case "sherpa_onnx":
            from app.engines.stt.sherpa_onnx import SherpaOnnxRecogniser  # noqa: PLC0415

            return SherpaOnnxRecogniser(settings.sherpa_onnx, models)
        case "vosk":
            from app.engines.stt.vosk import VoskRecogniser  # noqa: PLC0415

            return VoskRecogniser(settings.vosk, models)
        case "openai_compatible":
            from app.engines.stt.openai_compatible import OpenAICompatibleRecogniser  # noqa: PLC0415

            return OpenAICompatibleRecogniser(settings)
        case "wyoming":
            from app.engines.stt.wyoming import WyomingRecogniser  # noqa: PLC0415

            return WyomingRecogniser(settings.wyoming)
        case "timed":
            from app.engines.stt.timed import TimedRecogniser  # noqa: PLC0415

            return TimedRecogniser(settings.timed)
        case _:
            raise _unknown("stt", name, RECOGNISERS)


def build_language_models(settings: EngineSettings) -> list[LanguageModel]:
    """The language models named by ``llm``, best first."""
    return _each("llm", settings.llm, lambda name: _language_model(name, settings))


def _language_model(name: str, settings: EngineSettings) -> LanguageModel:
    kind, named, server = name.partition(":")
    match kind if kind == "openai_compatible" else name:
        case "openai_compatible":
            from app.engines.llm.openai_compatible import OpenAICompatible  # noqa: PLC0415

            if not named:
                return OpenAICompatible(settings.openai)
            if server not in settings.servers:
                raise EngineUnavailable(
                    "llm", f"{name} has no settings; set TRUNKLINE_ENGINES__SERVERS to a JSON with {server!r}"
                )
            return OpenAICompatible(settings.servers[server], server)
        case "scripted":
            from app.engines.llm.scripted import ScriptedLanguageModel  # noqa: PLC0415

            return ScriptedLanguageModel()
        case "timed":
            from app.engines.llm.timed import TimedLanguageModel  # noqa: PLC0415

            return TimedLanguageModel(settings.timed)
        case _:
            raise _unknown("llm", name, LANGUAGE_MODELS)


def build_synthesisers(settings: EngineSettings, models: Path) -> list[Synthesiser]:
    """The synthesisers named by ``tts``, best first."""
    return _each("tts", settings.tts, lambda name: _synthesiser(name, settings, models))


def _synthesiser(name: str, settings: EngineSettings, models: Path) -> Synthesiser:
    match name:
        case "espeak":
            from app.engines.tts.espeak import EspeakSynthesiser  # noqa: PLC0415

            return EspeakSynthesiser()
        case "piper":
            from app.engines.tts.piper import PiperSynthesiser  # noqa: PLC0415

            return PiperSynthesiser(settings.piper, models)
        case "edge":
            from app.engines.tts.edge import EdgeSynthesiser  # noqa: PLC0415

            return EdgeSynthesiser(settings.edge)
        case "openai_compatible":
            from app.engines.tts.openai_compatible import OpenAICompatibleSynthesiser  # noqa: PLC0415

            return OpenAICompatibleSynthesiser(settings)
        case "wyoming":
            from app.engines.tts.wyoming import WyomingSynthesiser  # noqa: PLC0415

            return WyomingSynthesiser(settings.wyoming)
        case "timed":
            from app.engines.tts.timed import TimedSynthesiser  # noqa: PLC0415

            return TimedSynthesiser(settings.timed)
        case _:
            raise _unknown("tts", name, SYNTHESISERS)


def build_translators(settings: EngineSettings, language_model: LanguageModel) -> list[Translator]:
    """The translators named by ``mt``, best first; none is a choice too. ``llm`` asks ``language_model``."""
    if not settings.mt.strip():
        return []
    return _each("mt", settings.mt, lambda name: _translator(name, settings, language_model))


def _translator(name: str, settings: EngineSettings, language_model: LanguageModel) -> Translator:
    match name:
        case "llm":
            from app.engines.mt.llm import LlmTranslator  # noqa: PLC0415

            return LlmTranslator(language_model)
        case "apertium":
            from app.engines.mt.apertium import ApertiumTranslator  # noqa: PLC0415

            return ApertiumTranslator(settings.apertium)
        case _:
            raise _unknown("mt", name, TRANSLATORS)


def build_turn_detector(settings: EngineSettings) -> TurnDetector | None:
    """Smart Turn, where the path of its model is set."""
    if not settings.smart_turn.path:
        return None
    from app.engines.turn.smart_turn import SmartTurn  # noqa: PLC0415

    return SmartTurn(Path(settings.smart_turn.path))


def _each(port: str, names: str, build: Callable[[str], E]) -> list[E]:
    return [build(name) for name in _names(port, names)]


def listed_names(names: str) -> list[str]:
    """The names of a comma-separated list."""
    return [part.strip() for part in names.split(",") if part.strip()]


def _names(port: str, names: str) -> list[str]:
    """The same of a port. Raises ``EngineUnavailable`` for none, and for one named twice."""
    found = listed_names(names)
    if not found:
        raise EngineUnavailable(port, f"no engine named; set {_variable(port)}")
    if len(set(found)) < len(found):
        raise EngineUnavailable(port, f"{_variable(port)} names an engine twice: {_listed(found)}")
    return found


def _unknown(port: str, name: str, known: Iterable[str]) -> EngineUnavailable:
    problem = f"no engine is called {name!r} (in {_variable(port)}); known are {_listed(known)}"
    return EngineUnavailable(port, problem)


def _variable(port: str) -> str:
    return f"TRUNKLINE_ENGINES__{port.upper()}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
