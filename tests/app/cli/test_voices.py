from __future__ import annotations

import json
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from app import cli
from tests.peers.piper_voice import write_voice

NAME = "en_US-lessac-medium"
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command and gives what it printed; fails with ``SystemExit`` as a process would."""
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TRUNKLINE_ENGINES__TTS", "piper, espeak")

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["trunkline", "voices", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        if ended.value.code not in {0, None}:
            raise ended.value
        printed = capsys.readouterr()
        return printed.err + printed.out

    return run


def test_the_voices_of_all_engines_are_listed(run: Run, tmp_path: Path) -> None:
    write_voice(tmp_path / "models" / NAME, NAME)
    first, *others = run().splitlines()
    assert first.split() == ["piper", NAME, "en-US", "Piper", "lessac"]
    assert all(line.startswith("espeak ") for line in others)
    german = json.loads(run("--language", "de", "--json"))
    assert {
        "engine": "espeak",
        "name": "de+f3",
        "language": "de",
        "gender": "female",
        "title": "German",
    } in german
    assert {row["language"] for row in german} == {"de"}
    assert run("--engine", "timed").split() == ["timed", "tone", "en-US", "neutral"]
    assert run("--language", "tlh") == "no voice of tlh\n"


def test_an_engine_that_cannot_start_is_named_and_the_others_are_listed(run: Run) -> None:
    printed = run()
    assert "trunkline models fetch en_US-lessac-medium" in printed
    assert "en-us+f3" in printed
    with pytest.raises(SystemExit, match="none of the engines"):
        run("--engine", "piper")
    with pytest.raises(SystemExit, match="no engine is called 'nobody'"):
        run("--engine", "nobody")


def test_a_voice_is_heard(run: Run, tmp_path: Path) -> None:
    write_voice(tmp_path / "models" / NAME, NAME)
    out = tmp_path / "new" / "heard.wav"
    for voice, engine in (("", "piper"), (NAME, "piper"), ("en-gb", "espeak")):
        assert f"by {engine}, first audio after" in run(
            "--say", "Hello there.", "--voice", voice, "--out", str(out)
        )
        with wave.open(str(out)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
            assert file.getnframes() > 2000
    with pytest.raises(SystemExit, match="no voice 'nobody'"):
        run("--say", "Hello.", "--voice", "nobody", "--out", str(out))
    with pytest.raises(SystemExit, match="--out"):
        run("--say", "Hello.", "--out", str(tmp_path))
    with pytest.raises(SystemExit, match="no sound"):
        run("--say", " ", "--out", str(out))
