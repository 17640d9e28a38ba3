from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from app.engines import build
from app.engines.supply.catalogue import Catalogue, Model, ModelFile
from app.engines.supply.needs import Need, known_engines, needs
from config.engines import EngineSettings, OpenAISettings

CATALOGUE = Catalogue((
    Model(
        name="faster-whisper-base.en", engine="faster_whisper", licence="MIT", languages=("en",), about="",
        source="", files=(ModelFile(path="model.bin", url="https://h/m", bytes=7),),
    ),
))  # fmt: skip


def ask(models: Path, **settings: object) -> list[Need]:
    return needs(EngineSettings.model_validate(settings), models, CATALOGUE)


def missing(found: list[Need]) -> list[str]:
    return [need.advice for need in found if not need.met]


def test_every_engine_that_can_be_built_says_what_it_needs() -> None:
    known = known_engines()
    for port, names in (
        ("vad", build.DETECTORS),
        ("stt", build.RECOGNISERS),
        ("llm", build.LANGUAGE_MODELS),
        ("tts", build.SYNTHESISERS),
        ("mt", build.TRANSLATORS),
    ):
        assert {name.split(":")[0] for name in names} == {name for of, name in known if of == port}


def test_the_embedded_engines_have_what_they_need(tmp_path: Path) -> None:
    found = ask(tmp_path)
    assert [need.engine for need in found] == ["silero", "pocketsphinx", "espeak"]
    assert not missing(found)


def test_a_model_that_is_missing_names_the_command_that_brings_it(tmp_path: Path) -> None:
    found = ask(tmp_path, stt="faster_whisper, pocketsphinx")
    (advice,) = missing(found)
    assert "trunkline models fetch faster-whisper-base.en" in advice
    assert "TRUNKLINE_ENGINES__FASTER_WHISPER__MODEL" in advice
    assert [need.model for need in found if not need.met] == ["faster-whisper-base.en"]


def test_a_damaged_model_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "faster-whisper-base.en"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"short")
    (advice,) = missing(ask(tmp_path, stt="faster_whisper"))
    assert "model.bin has 5 bytes instead of 7; run 'trunkline models fetch" in advice
    (folder / "model.bin").write_bytes(b"correct")
    found = ask(tmp_path, stt="faster_whisper")
    assert not missing(found)
    assert any("put there by hand" in need.what for need in found)


def test_a_model_of_ones_own_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    found = ask(tmp_path, stt="vosk", vosk={"model": str(tmp_path / "mine")})
    assert not missing(found)
    (advice,) = missing(ask(tmp_path, stt="vosk", vosk={"model": "/none"}))
    assert "TRUNKLINE_ENGINES__VOSK__MODEL names /none" in advice


def test_a_voice_is_found_where_piper_finds_it(tmp_path: Path) -> None:
    assert "TRUNKLINE_ENGINES__PIPER__VOICE" in missing(ask(tmp_path, tts="piper"))[0]
    name = EngineSettings().piper.voice
    (tmp_path / f"{name}.onnx").touch()
    (tmp_path / f"{name}.onnx.json").write_text('{"phoneme_id_map": {}, "audio": {"sample_rate": 22050}}')
    assert not missing(ask(tmp_path, tts="piper"))


def test_a_missing_library_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert missing(ask(tmp_path, tts="edge"))[-1] == "edge_tts, av not installed; run 'make engines'"


@pytest.mark.parametrize(("settings", "words"), [
    ({"llm": "openai_compatible"}, "TRUNKLINE_ENGINES__OPENAI__MODEL"),
    ({"llm": "openai_compatible", "openai": {"model": "m"}}, "TRUNKLINE_ENGINES__OPENAI__API_KEY"),
    ({"llm": "openai_compatible:backup"}, "TRUNKLINE_ENGINES__SERVERS"),
    ({"llm": "openai_compatible:b", "servers": {"b": {}}}, "TRUNKLINE_ENGINES__SERVERS__B__MODEL"),
    ({"stt": "openai_compatible"}, "TRUNKLINE_ENGINES__OPENAI_STT__API_KEY"),
    ({"tts": "openai_compatible"}, "TRUNKLINE_ENGINES__OPENAI_TTS__API_KEY"),
    ({"stt": "wyoming"}, "TRUNKLINE_ENGINES__WYOMING__STT_URL"),
    ({"tts": "wyoming"}, "TRUNKLINE_ENGINES__WYOMING__TTS_URL"),
    ({"stt": "whisper"}, "no engine is called 'whisper' (in TRUNKLINE_ENGINES__STT); known are pocketsphinx"),
    ({"stt": "timed:x"}, "no engine is called 'timed:x'"),
    ({"llm": "scripted:x"}, "no engine is called 'scripted:x'"),
    ({"stt": "pocketsphinx,pocketsphinx"}, "TRUNKLINE_ENGINES__STT names an engine twice"),
    ({"vad": "silero,silero"}, "TRUNKLINE_ENGINES__VAD names an engine twice"),
    ({"mt": "google"}, "no engine is called 'google'"),
    ({"stt": "wyoming", "wyoming": {"stt_url": "http://h:1"}}, "set TRUNKLINE_ENGINES__WYOMING__STT_URL"),
    ({"tts": "edge", "edge": {"url": "http://h"}}, "TRUNKLINE_ENGINES__EDGE__URL must begin with ws://"),
    ({"mt": "apertium", "apertium": {"url": "nonsense"}}, "TRUNKLINE_ENGINES__APERTIUM__URL must be a URL"),
    ({"stt": " , "}, "TRUNKLINE_ENGINES__STT"),
    ({"smart_turn": {"path": "/none.onnx"}}, "TRUNKLINE_ENGINES__SMART_TURN__PATH"),
])  # fmt: skip
def test_a_missing_setting_is_named(tmp_path: Path, settings: dict[str, object], words: str) -> None:
    told = missing(ask(tmp_path, **settings))
    assert any(words in advice for advice in told), told


def test_settings_that_are_there_are_enough(tmp_path: Path) -> None:
    (tmp_path / "smart.onnx").touch()
    server = OpenAISettings(base_url="http://127.0.0.1:1/v1", api_key=SecretStr("secret-key"), model="m")
    found = ask(
        tmp_path,
        stt="openai_compatible,wyoming",
        llm="openai_compatible, openai_compatible:b, scripted",
        tts="openai_compatible,wyoming",
        mt="llm,apertium",
        openai=server,
        servers={"b": server},
        wyoming={"stt_url": "tcp://h:1", "tts_url": "tcp://h:1"},
        apertium={"url": "http://h"},
        smart_turn={"path": str(tmp_path / "smart.onnx")},
    )
    assert not missing(found)
    assert "secret-key" not in str(found)


def test_apertium_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (advice,) = missing(ask(tmp_path, mt="apertium"))
    assert "apertium-eng-spa" in advice
    assert "TRUNKLINE_ENGINES__APERTIUM__URL" in advice
