from __future__ import annotations

from pathlib import Path

import pytest

from app.engines.build import (
    build_detector,
    build_engines,
    build_language_models,
    build_recognisers,
    build_synthesisers,
    build_translators,
)
from app.engines.errors import EngineUnavailable
from app.engines.llm.timed import TimedLanguageModel
from config.engines import EngineSettings, OpenAISettings, TimedSettings

MODELS = Path("/nothing/here")


def test_names_become_engines_in_their_order() -> None:
    settings = EngineSettings(
        stt="faster_whisper, sherpa_onnx,vosk,openai_compatible,wyoming,pocketsphinx,timed",
        llm="openai_compatible,openai_compatible:backup, scripted ,timed",
        tts="piper,edge,openai_compatible,wyoming,espeak,timed,",
        mt="llm,apertium",
        servers={"backup": OpenAISettings(model="m")},
    )
    recognisers = build_recognisers(settings, MODELS)
    assert ",".join(engine.name for engine in recognisers) == settings.stt.replace(" ", "")
    models = build_language_models(settings)
    assert ",".join(engine.name for engine in models) == settings.llm.replace(" ", "")
    voices = build_synthesisers(settings, MODELS)
    assert ",".join(engine.name for engine in voices) == settings.tts.rstrip(",")
    translators = build_translators(settings, TimedLanguageModel(TimedSettings()))
    assert [engine.name for engine in translators] == ["llm", "apertium"]


def test_the_engines_of_a_call_are_those_of_the_process() -> None:
    engines = build_engines(EngineSettings(stt="timed", llm="timed,scripted", tts="timed", mt="llm"), MODELS)
    assert [listed.name for listed in engines.lists] == ["timed", "timed", "timed", "llm"]
    mine = engines.for_call(lambda name, detail: None)
    assert (mine.recogniser.name, mine.language_model.name, mine.synthesiser.name) == ("timed",) * 3
    assert mine.translator is not None
    assert build_engines(EngineSettings(), MODELS).translator is None


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(EngineUnavailable, match=r"'whispr' .*STT.*; known are pocketsphinx, faster_whisper"):
        build_recognisers(EngineSettings(stt="whispr"), MODELS)


@pytest.mark.parametrize(
    ("names", "problem"), [("", "no engine named"), ("timed, timed", "names an engine twice: timed, timed")]
)
def test_engines_are_named_and_named_once(names: str, problem: str) -> None:
    with pytest.raises(EngineUnavailable, match=problem) as caught:
        build_language_models(EngineSettings(llm=names))
    assert "TRUNKLINE_ENGINES__LLM" in str(caught.value)
    assert not caught.value.retryable


def test_a_named_server_needs_settings() -> None:
    with pytest.raises(EngineUnavailable, match=r"TRUNKLINE_ENGINES__SERVERS.*'backup'"):
        build_language_models(EngineSettings(llm="openai_compatible:backup"))


def test_there_is_one_detector() -> None:
    with pytest.raises(EngineUnavailable, match="TRUNKLINE_ENGINES__VAD names 2 detectors"):
        build_detector(EngineSettings(vad="silero,other"))
