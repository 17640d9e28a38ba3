"""Engine names to engines. Each is imported when it is asked for, so that a profile loads only its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.engines.errors import EngineUnavailable
from app.engines.ports import (
    Engine,
    LanguageModel,
    Recogniser,
    Synthesiser,
    TurnDetector,
    VoiceActivityDetector,
)
from app.engines.tts.cached import CachedSynthesiser
from config.settings import EngineSettings

DETECTORS = ("silero",)
RECOGNISERS = ("pocketsphinx", "timed")
LANGUAGE_MODELS = ("openai_compatible", "scripted", "timed")
SYNTHESISERS = ("espeak", "timed")


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of a process, built but not started."""

    detector: VoiceActivityDetector
    recogniser: Recogniser
    language_model: LanguageModel
    synthesiser: Synthesiser
    turn: TurnDetector | None = None

    def all(self) -> tuple[Engine, ...]:
        """Those that there are, to be started and closed."""
        found = (self.detector, self.recogniser, self.language_model, self.synthesiser, self.turn)
        return tuple(engine for engine in found if engine is not None)


@dataclass(frozen=True, slots=True)
class BuiltEngines(Engines):
    """The engines named in the settings; the synthesiser keeps what is prepared."""

    synthesiser: CachedSynthesiser


def build_engines(settings: EngineSettings) -> BuiltEngines:
    """The engines named in the settings. Raises ``EngineUnavailable`` for a name it does not know."""
    return BuiltEngines(
        detector=build_detector(settings),
        recogniser=build_recogniser(settings),
        language_model=build_language_model(settings),
        synthesiser=CachedSynthesiser(build_synthesiser(settings)),
        turn=build_turn_detector(settings),
    )


def build_detector(settings: EngineSettings) -> VoiceActivityDetector:
    """The voice activity detector named by ``vad``."""
    match _single("vad", settings.vad):
        case "silero":
            from app.engines.vad.silero import SileroVad  # noqa: PLC0415

            return SileroVad()
        case name:
            raise _unknown("vad", name, DETECTORS)


def build_recogniser(settings: EngineSettings) -> Recogniser:
    """The recogniser named by ``stt``."""
    match _single("stt", settings.stt):
        case "pocketsphinx":
            from app.engines.stt.pocketsphinx import PocketsphinxRecogniser  # noqa: PLC0415

            return PocketsphinxRecogniser(settings.pocketsphinx)
        case "timed":
            from app.engines.stt.timed import TimedRecogniser  # noqa: PLC0415

            return TimedRecogniser(settings.timed)
        case name:
            raise _unknown("stt", name, RECOGNISERS)


def build_language_model(settings: EngineSettings) -> LanguageModel:
    """The language model named by ``llm``."""
    match _single("llm", settings.llm):
        case "openai_compatible":
            from app.engines.llm.openai_compatible import OpenAICompatible  # noqa: PLC0415

            return OpenAICompatible(settings.openai)
        case "scripted":
            from app.engines.llm.scripted import ScriptedLanguageModel  # noqa: PLC0415

            return ScriptedLanguageModel()
        case "timed":
            from app.engines.llm.timed import TimedLanguageModel  # noqa: PLC0415

            return TimedLanguageModel(settings.timed)
        case name:
            raise _unknown("llm", name, LANGUAGE_MODELS)


def build_synthesiser(settings: EngineSettings) -> Synthesiser:
    """The synthesiser named by ``tts``."""
    match _single("tts", settings.tts):
        case "espeak":
            from app.engines.tts.espeak import EspeakSynthesiser  # noqa: PLC0415

            return EspeakSynthesiser()
        case "timed":
            from app.engines.tts.timed import TimedSynthesiser  # noqa: PLC0415

            return TimedSynthesiser(settings.timed)
        case name:
            raise _unknown("tts", name, SYNTHESISERS)


def build_turn_detector(settings: EngineSettings) -> TurnDetector | None:
    """Smart Turn, where the path of its model is set."""
    if not settings.smart_turn.path:
        return None
    from app.engines.turn.smart_turn import SmartTurn  # noqa: PLC0415

    return SmartTurn(Path(settings.smart_turn.path))


def _single(port: str, names: str) -> str:
    """The one name of a comma-separated list. Raises ``EngineUnavailable`` when there is none or several."""
    parts = [part.strip() for part in names.split(",") if part.strip()]
    if len(parts) == 1:
        return parts[0]
    variable = f"TRUNKLINE_ENGINES__{port.upper()}"
    if not parts:
        raise EngineUnavailable(port, f"no engine named; set {variable}")
    raise EngineUnavailable(port, f"{variable} names {len(parts)} engines ({', '.join(parts)}); name one")


def _unknown(port: str, name: str, known: tuple[str, ...]) -> EngineUnavailable:
    return EngineUnavailable(port, f"no engine is called {name!r}; known are {', '.join(known)}")
