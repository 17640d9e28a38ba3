"""Whatever keeps an engine from starting, its message names what to change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.engines.build import (
    RECOGNISERS,
    SYNTHESISERS,
    build_language_models,
    build_recognisers,
    build_synthesisers,
    build_translators,
)
from app.engines.errors import EngineUnavailable
from app.engines.llm.scripted import ScriptedLanguageModel
from app.engines.ports import Engine
from config.engines import EngineSettings

NOWHERE = "127.0.0.1:9"  # discard: nobody listens
GROUP = "TRUNKLINE_ENGINES__"
EMBEDDED = {"pocketsphinx", "espeak", "timed"}
WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("stt", "faster_whisper", {}, "trunkline models fetch faster-whisper-base.en"),
    ("stt", "faster_whisper", {"faster_whisper": {"model": "/nowhere"}}, "FASTER_WHISPER__MODEL"),
    ("stt", "faster_whisper", {"faster_whisper": {"model": ""}}, "FASTER_WHISPER__MODEL"),
    ("stt", "sherpa_onnx", {}, "trunkline models fetch sherpa-onnx"),
    ("stt", "sherpa_onnx", {"sherpa_onnx": {"model": "/tmp"}}, "SHERPA_ONNX__MODEL"),
    ("stt", "vosk", {}, "trunkline models fetch vosk"),
    ("stt", "vosk", {"vosk": {"model": "/tmp"}}, "VOSK__MODEL"),
    ("stt", "openai_compatible", {}, "OPENAI_STT__API_KEY"),
    (
        "stt",
        "openai_compatible",
        {"openai_stt": {"base_url": f"http://{NOWHERE}/v1"}},
        "OPENAI_STT__BASE_URL",
    ),
    ("stt", "openai_compatible", {"openai_stt": {"base_url": "nonsense"}}, "OPENAI_STT__BASE_URL"),
    ("stt", "wyoming", {}, "WYOMING__STT_URL"),
    ("stt", "wyoming", {"wyoming": {"stt_url": f"tcp://{NOWHERE}"}}, "WYOMING__STT_URL"),
    ("stt", "wyoming", {"wyoming": {"stt_url": "http://host"}}, "WYOMING__STT_URL"),
    ("llm", "openai_compatible", {}, "OPENAI__MODEL"),
    ("llm", "openai_compatible", {"openai": {"model": "m"}}, "OPENAI__API_KEY"),
    (
        "llm",
        "openai_compatible",
        {"openai": {"model": "m", "base_url": f"http://{NOWHERE}/v1"}},
        "OPENAI__BASE_URL",
    ),
    ("llm", "openai_compatible:b", {"servers": {"b": {}}}, "SERVERS__B__MODEL"),
    ("llm", "openai_compatible:b", {}, "TRUNKLINE_ENGINES__SERVERS"),
    ("tts", "piper", {}, "trunkline models fetch en_US"),
    ("tts", "piper", {"piper": {"voice": "/nowhere.onnx"}}, "PIPER__VOICE"),
    ("tts", "edge", {"edge": {"url": f"ws://{NOWHERE}/edge/v1"}}, "EDGE__URL"),
    ("tts", "edge", {"edge": {"url": "http://host"}}, "EDGE__URL"),
    ("tts", "openai_compatible", {}, "OPENAI_TTS__API_KEY"),
    (
        "tts",
        "openai_compatible",
        {"openai_tts": {"base_url": f"http://{NOWHERE}/v1"}},
        "OPENAI_TTS__BASE_URL",
    ),
    ("tts", "wyoming", {}, "WYOMING__TTS_URL"),
    ("tts", "wyoming", {"wyoming": {"tts_url": f"tcp://{NOWHERE}"}}, "WYOMING__TTS_URL"),
    ("mt", "apertium", {"apertium": {"url": f"http://{NOWHERE}"}}, "APERTIUM__URL"),
    ("mt", "apertium", {"apertium": {"url": "nonsense"}}, "APERTIUM__URL"),
]


def build(port: str, name: str, settings: dict[str, Any], models: Path) -> Engine:
    chosen = EngineSettings.model_validate({port: name, **settings})
    match port:
        case "stt":
            return build_recognisers(chosen, models)[0]
        case "llm":
            return build_language_models(chosen)[0]
        case "tts":
            return build_synthesisers(chosen, models)[0]
        case _:
            return build_translators(chosen, ScriptedLanguageModel())[0]


@pytest.mark.parametrize(("port", "name", "settings", "words"), WRONG)
async def test_the_setting_to_change_is_named(
    port: str, name: str, settings: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(EngineUnavailable) as caught:
        await build(port, name, settings, tmp_path).start()
    assert words in str(caught.value)
    assert GROUP in str(caught.value) or "trunkline models" in str(caught.value)


def test_every_engine_that_can_be_set_up_wrongly_is_tried() -> None:
    tried = {(port, name) for port, name, _, _ in WRONG}
    assert {name for port, name in tried if port == "stt"} == set(RECOGNISERS) - EMBEDDED
    assert {name for port, name in tried if port == "tts"} == set(SYNTHESISERS) - EMBEDDED


async def test_a_key_is_in_no_message(tmp_path: Path) -> None:
    key = SecretStr("sk-very-secret")
    for port, name, group in (
        ("stt", "openai_compatible", "openai_stt"),
        ("llm", "openai_compatible", "openai"),
        ("tts", "openai_compatible", "openai_tts"),
    ):
        settings = {group: {"api_key": key, "base_url": f"http://{NOWHERE}/v1", "model": "m"}}
        with pytest.raises(EngineUnavailable) as caught:
            await build(port, name, settings, tmp_path).start()
        assert key.get_secret_value() not in str(caught.value)
