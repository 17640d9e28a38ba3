"""Callers' scripts: what they may say, and errors that point to the line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from telephony.simulator import script
from telephony.simulator.script import ScriptError


def parse(text: str, folder: Path = Path()) -> script.Script:
    return script.parse(text, "demo.yaml", folder)


def test_every_step(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    text = """
patience: 20
pause: 0.5
steps:
  - wait_for: agent_finished
  - wait_for: agent_finished 1.5
    timeout: 3
  - wait_for: agent_speaking
  - wait_for: silence 0.6
  - wait_for: mark
  - say: "  Hello "
  - play: a.wav
  - wait: 1
  - interrupt_after: 1.2
  - dtmf: "1#"
  - hang_up: true
  - hang_up
"""
    assert parse(text, tmp_path).steps == (
        script.WaitFor("agent_finished", 0.5, 20.0),
        script.WaitFor("agent_finished", 1.5, 3.0),
        script.WaitFor("agent_speaking", 0.5, 20.0),
        script.WaitFor("silence", 0.6, 20.0),
        script.WaitFor("mark", 0.5, 20.0),
        script.Say("Hello"),
        script.Play(tmp_path / "a.wav"),
        script.Wait(1.0),
        script.InterruptAfter(1.2, 20.0),
        script.Dtmf("1#"),
        script.HangUp(),
        script.HangUp(),
    )


def test_a_bare_list() -> None:
    assert parse("- say: hi").steps == (script.Say("hi"),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "demo.yaml: expected a list of steps"),
        ("steps: []", "demo.yaml:1: expected a list of steps"),
        ("- say: hi\n- sya: ho", "demo.yaml:2: step 2: expected one of .*say.*; got 'sya'"),
        ("- say: hi\n\n- hello", "demo.yaml:3: step 2: expected say, .* not 'hello'"),
        ("- say: a\n  dtmf: '1'", "demo.yaml:1: step 1: expected one of .*got .'dtmf', 'say'"),
        ("- timeout: 3", "got none"),
        ("- say: ' '", "'say' expects a text"),
        ("- say: [a]", "'say' expects a text"),
        ("- play: none.wav", "there is none at none.wav"),
        ("- wait: soon", "'wait' expects seconds, not 'soon'"),
        ("- wait: -1", "'wait' expects seconds"),
        ("- wait: nan", "'wait' expects seconds"),
        ("- wait: 1\n  timeout: 2", "demo.yaml:2: step 1: 'timeout' belongs to"),
        ("- wait_for: godot", "not 'godot'"),
        ("- wait_for: ''", "'wait_for' expects"),
        ("- wait_for: mark 3", "'wait_for' expects"),
        ("- wait_for: silence long", "'long' is not a number"),
        ("- dtmf: '1x'", "'dtmf' expects keys"),
        ("- say: a\n  say: b", "'say' is given twice"),
        ("steps:\n- say: hi\nvoice: x", "demo.yaml:3: expected one of patience, pause, steps; got 'voice'"),
        ("- say: 'x", "demo.yaml:1: not YAML"),
        ("- say: x\n\t- y", "demo.yaml:2: not YAML"),
    ],
)
def test_errors_name_file_line_and_step(text: str, says: str) -> None:
    with pytest.raises(ScriptError, match=says):
        parse(text)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="cannot be read"):
        script.load(tmp_path / "none.yaml")


@pytest.mark.parametrize("length", range(84))
def test_truncated_at_every_byte(length: int) -> None:
    text = "patience: 9\nsteps:\n- wait_for: silence 0.6\n  timeout: 3\n- say: hi\n- dtmf: '1#'\n"
    with suppress(ScriptError):  # anything else is a failure
        parse(text[:length])
