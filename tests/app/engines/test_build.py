from __future__ import annotations

import pytest

from app.engines.build import build_language_model, build_recogniser, build_synthesiser
from app.engines.errors import EngineUnavailable
from config.settings import EngineSettings


def test_names_become_engines() -> None:
    settings = EngineSettings(stt="timed", llm=" timed ", tts="timed,")
    assert build_recogniser(settings).name == "timed"
    assert build_language_model(settings).name == "timed"
    assert build_synthesiser(settings).name == "timed"


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(EngineUnavailable, match="'whispr'; known are pocketsphinx, timed"):
        build_recogniser(EngineSettings(stt="whispr"))


@pytest.mark.parametrize(
    ("names", "problem"), [("", "no engine named"), ("timed, scripted", "names 2 engines")]
)
def test_exactly_one_engine_is_named(names: str, problem: str) -> None:
    with pytest.raises(EngineUnavailable, match=problem) as caught:
        build_language_model(EngineSettings(llm=names))
    assert "TRUNKLINE_ENGINES__LLM" in str(caught.value)
    assert not caught.value.retryable
