from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from app import cli
from app.engines.supply import catalogue, download
from tests.peers.file_server import FileServer

DATA = b"weights" * 1000
LISTED = (("faster-whisper-base.en", "faster_whisper"), ("smart-turn-v3.2-cpu", "smart_turn"))
Run = Callable[..., str]


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer({"/model.bin": DATA}).running() as server:
        yield server


@pytest.fixture
def run(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs the command and gives what it printed; fails with ``SystemExit`` as a process would."""
    listed = [
        {
            "name": name, "engine": engine, "licence": "MIT", "languages": ["en"], "about": "a model",
            "source": "somewhere",
            "files": [{
                "path": "model.bin", "url": f"{server.url}/model.bin",
                "sha256": hashlib.sha256(DATA).hexdigest(),
            }],
        }
        for name, engine in LISTED
    ]  # fmt: skip
    (tmp_path / "models.yaml").write_text(yaml.safe_dump({"models": listed}))
    monkeypatch.setattr(catalogue.read_catalogue, "__defaults__", (tmp_path / "models.yaml",))
    monkeypatch.setattr(download, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TRUNKLINE_ENGINES__STT", "faster_whisper")

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["trunkline", "models", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        if ended.value.code:
            raise SystemExit(ended.value.code)
        return capsys.readouterr().out

    return run


def test_a_model_is_listed_fetched_and_checked(run: Run, tmp_path: Path) -> None:
    (row, other) = json.loads(run("list", "--json"))
    assert (row["name"], row["state"], row["needed"]) == ("faster-whisper-base.en", "absent", True)
    assert not other["needed"]
    with pytest.raises(SystemExit) as ended:
        run("check")
    assert ended.value.code == 1
    assert str(tmp_path / "data" / "models" / "faster-whisper-base.en") in run(
        "fetch", "faster-whisper-base.en"
    )
    assert "MISSING" not in run("check")
    assert all(need["met"] for need in json.loads(run("check", "--json")))
    assert "is there" in run("fetch", "faster-whisper-base.en")
    assert "* faster-whisper-base.en" in run("list")


def test_all_that_a_profile_needs_is_fetched(run: Run, server: FileServer) -> None:
    assert "faster-whisper-base.en is in" in run("fetch", "--profile", "embedded")
    assert len(server.requests) == 1
    assert [row["name"] for row in json.loads(run("list", "--profile", "embedded", "--json"))] == [
        "faster-whisper-base.en"
    ]


def test_a_profile_that_needs_nothing_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_ENGINES__STT", "pocketsphinx")
    assert "needs no model" in run("fetch", "--profile", "embedded")


def test_damage_is_told_and_repaired(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("fetch", "faster-whisper-base.en")
    (tmp_path / "data" / "models" / "faster-whisper-base.en" / "model.bin").write_bytes(b"weighty" * 1000)
    with pytest.raises(SystemExit):
        run("check")
    assert "run 'trunkline models fetch faster-whisper-base.en'" in capsys.readouterr().out
    run("fetch", "faster-whisper-base.en")
    assert "MISSING" not in run("check")


def test_how_to_use_a_fetched_turn_model_is_told(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "data" / "models" / "smart-turn-v3.2-cpu" / "model.bin"
    assert f"TRUNKLINE_ENGINES__SMART_TURN__PATH={path}" in run("fetch", "smart-turn-v3.2-cpu")


@pytest.mark.parametrize(("words", "told"), [
    (("fetch", "none"), "trunkline: no model is called 'none'"),
    (("fetch",), "trunkline: name the models to fetch"),
    (("check", "--profile", "none"), "'none'; known profiles are bench"),
])  # fmt: skip
def test_a_mistake_is_explained(run: Run, words: tuple[str, ...], told: str) -> None:
    with pytest.raises(SystemExit, match=told):
        run(*words)


def test_a_failure_says_which_file_and_where_to_put_it(run: Run, server: FileServer, tmp_path: Path) -> None:
    server.files.clear()
    with pytest.raises(SystemExit) as ended:
        run("fetch", "faster-whisper-base.en")
    told = str(ended.value.code)
    assert f"{server.url}/model.bin: the server answers 404" in told
    assert str(tmp_path / "data" / "models" / "faster-whisper-base.en" / "model.bin") in told
