from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from app.engines.supply.catalogue import CATALOGUE, CatalogueError, read_catalogue
from config.engines import EngineSettings
from config.settings import PROFILES, Settings

MODEL: dict[str, Any] = {
    "name": "m", "engine": "vosk", "licence": "MIT", "languages": ["en"], "about": "x", "source": "y",
    "files": [{"path": "a", "url": "https://h/a"}],
}  # fmt: skip


def test_the_default_models_can_be_fetched() -> None:
    catalogue = read_catalogue()
    engines = EngineSettings()
    for name, engine in (
        (engines.faster_whisper.model, "faster_whisper"),
        (engines.sherpa_onnx.model, "sherpa_onnx"),
        (engines.vosk.model, "vosk"),
        (engines.piper.voice, "piper"),
    ):
        assert catalogue.get(name).engine == engine


@pytest.mark.parametrize("profile", sorted(path.stem for path in PROFILES.glob("*.yaml")))
def test_the_models_of_every_profile_can_be_fetched(profile: str) -> None:
    engines, catalogue = Settings(profile=profile).engines, read_catalogue()
    for name in (
        engines.faster_whisper.model, engines.sherpa_onnx.model, engines.vosk.model, engines.piper.voice,
    ):  # fmt: skip
        assert catalogue.find(name)


def test_every_file_is_pinned_to_a_hash_and_a_revision() -> None:
    for model in read_catalogue().models:
        for source in model.files or (model.archive,):
            assert source
            assert source.sha256 or source.md5
            assert source.url.startswith("https://")
            assert "/main/" not in source.url


def test_a_voice_has_its_configuration_beside_it() -> None:
    for model in read_catalogue().models:
        if model.engine == "piper":
            assert [file.path for file in model.files] == [f"{model.name}.onnx", f"{model.name}.onnx.json"]


def test_an_unknown_model_is_named_with_the_known_ones() -> None:
    with pytest.raises(CatalogueError, match=r"'nothing'.*faster-whisper-base\.en"):
        read_catalogue().get("nothing")


@pytest.mark.parametrize(("change", "words"), [
    ({"name": "../m"}, "name"), ({"name": ""}, "name"), ({"extra": 1}, "extra"), ({"files": []}, "either"),
    ({"archive": {"url": "https://h/a.zip"}}, "either"),
    ({"files": [{"path": "../a", "url": "https://h/a"}]}, "inside"),
    ({"files": [{"path": "/a", "url": "https://h/a"}]}, "inside"),
    ({"files": [{"path": "", "url": "https://h/a"}]}, "inside"),
    ({"files": [{"path": "a", "url": "file:///etc/passwd"}]}, "url"),
    ({"files": [{"path": "a", "url": "https://h/a", "sha256": "abc"}]}, "sha256"),
    ({"files": [{"path": "a", "url": "https://h/a", "bytes": 0}]}, "bytes"),
])  # fmt: skip
def test_a_wrong_entry_is_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump({"models": [MODEL | change]}))
    with pytest.raises(CatalogueError, match=words):
        read_catalogue(path)


@pytest.mark.parametrize("text", ["", "models: 5", "{", "- a", "\x00"])
def test_what_is_no_catalogue_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(text)
    with pytest.raises(CatalogueError, match=r"models\.yaml"):
        read_catalogue(path)


def test_a_model_listed_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump({"models": [MODEL, MODEL]}))
    with pytest.raises(CatalogueError, match="lists m twice"):
        read_catalogue(path)


def test_a_missing_catalogue_is_told(tmp_path: Path) -> None:
    assert CATALOGUE.is_file()
    with pytest.raises(CatalogueError, match="cannot be read"):
        read_catalogue(tmp_path / "none.yaml")
