"""A caller's script: YAML to steps. Pure but for reading the file.

A script is a list of steps, or a mapping of ``steps`` and the defaults ``patience`` (how long a wait may
last, 15 s) and ``pause`` (the agent's silence after which a person would speak, 0.7 s):

    steps:
      - wait_for: agent_finished       # or agent_speaking, mark, silence 0.6
        timeout: 20
      - say: "I would like to track a parcel."
      - play: knock.wav                # beside the script
      - interrupt_after: 1.2           # seconds after the agent began to speak; then the next step
      - say: "Sorry, another question."
      - wait: 1.0
      - dtmf: "1234#"
      - hang_up
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import yaml

from telephony.errors import TelephonyError

PATIENCE = 15.0
PAUSE = 0.7
_KEYS = frozenset("0123456789*#ABCD")


class ScriptError(TelephonyError):
    """A script cannot be followed: file, line and step, and what was expected."""


@dataclass(frozen=True, slots=True)
class Say:
    """Speak a text with the caller's voice."""

    text: str


@dataclass(frozen=True, slots=True)
class Play:
    """Speak a recording."""

    path: Path


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Wait for something the caller can hear; ``mark`` alone is known to the carrier, not to a person.

    ``agent_finished``: the agent has been heard since the caller last spoke, and then not for ``seconds``.
    ``agent_speaking``: the agent is heard. ``silence``: nothing has been heard for ``seconds``.
    """

    what: Literal["agent_finished", "agent_speaking", "silence", "mark"]
    seconds: float
    timeout: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class InterruptAfter:
    """Wait until the agent has been speaking for ``seconds``."""

    seconds: float
    timeout: float


@dataclass(frozen=True, slots=True)
class Dtmf:
    """Press keys."""

    keys: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """Put the handset down."""


Step: TypeAlias = Say | Play | WaitFor | Wait | InterruptAfter | Dtmf | HangUp


@dataclass(frozen=True, slots=True)
class Script:
    """Steps in order."""

    steps: tuple[Step, ...]
    patience: float = PATIENCE
    pause: float = PAUSE


def load(path: Path) -> Script:
    """A script from a file. Raises ``ScriptError``."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path} cannot be read: {error}") from error
    return parse(text, str(path), path.parent)


def parse(text: str, name: str, folder: Path) -> Script:
    """A script from text; ``name`` is what errors call it, ``folder`` where recordings lie.

    Raises ``ScriptError``.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ScriptError(f"{name}{line}: not YAML: {getattr(error, 'problem', error)}") from error
    return _Reader(name, folder).script(root)


class _Reader:
    """Reads one document, so that every error knows its file, line and step."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder
        self._step = 0
        self._patience = PATIENCE
        self._pause = PAUSE

    def script(self, root: yaml.Node | None) -> Script:
        if isinstance(root, yaml.MappingNode):
            entries = self._entries(root, {"steps", "patience", "pause"})
            if "patience" in entries:
                self._patience = self._seconds(entries["patience"], "patience")
            if "pause" in entries:
                self._pause = self._seconds(entries["pause"], "pause")
            root = entries.get("steps")
        if not isinstance(root, yaml.SequenceNode) or not root.value:
            raise self._error(root, "expected a list of steps, or a mapping with 'steps'")
        steps = []
        for number, node in enumerate(root.value, start=1):
            self._step = number
            steps.append(self._read_step(node))
        return Script(tuple(steps), self._patience, self._pause)

    def _read_step(self, node: yaml.Node) -> Step:
        if isinstance(node, yaml.ScalarNode) and node.value == "hang_up":
            return HangUp()
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, f"expected {_CHOICES}, not {getattr(node, 'value', node.tag)!r}")
        entries = self._entries(node, {*_STEPS, "hang_up", "timeout"})
        names = entries.keys() - {"timeout"}
        if len(names) != 1:
            raise self._error(node, f"expected one of {_CHOICES}, got {sorted(names) or 'none'}")
        name = names.pop()
        if "timeout" in entries and name not in {"wait_for", "interrupt_after"}:
            raise self._error(
                entries["timeout"], f"'timeout' belongs to wait_for and interrupt_after, not {name}"
            )
        timeout = self._seconds(entries["timeout"], "timeout") if "timeout" in entries else self._patience
        return HangUp() if name == "hang_up" else _STEPS[name](self, entries[name], timeout)

    def say(self, node: yaml.Node, _timeout: float) -> Step:
        text = self._text(node, "say").strip()
        if not text:
            raise self._error(node, "'say' expects a text")
        return Say(text)

    def play(self, node: yaml.Node, _timeout: float) -> Step:
        path = self._folder / self._text(node, "play")
        if not path.is_file():
            raise self._error(node, f"'play' expects a WAV file; there is none at {path}")
        return Play(path)

    def wait_for(self, node: yaml.Node, timeout: float) -> Step:
        what, *rest = self._text(node, "wait_for").split() or [""]
        expected = (
            "'wait_for' expects agent_finished, agent_speaking, mark or silence, with seconds for pauses"
        )
        if len(rest) > 1 or (rest and what not in {"agent_finished", "silence"}):
            raise self._error(node, f"{expected}: {node.value!r}")
        try:
            seconds = float(rest[0]) if rest else self._pause
        except ValueError as error:
            raise self._error(node, f"{expected}: {rest[0]!r} is not a number") from error
        match what:
            case "agent_finished" | "agent_speaking" | "silence" | "mark":
                return WaitFor(what, seconds, timeout)
            case _:
                raise self._error(node, f"{expected}, not {what!r}")

    def wait(self, node: yaml.Node, _timeout: float) -> Step:
        return Wait(self._seconds(node, "wait"))

    def interrupt_after(self, node: yaml.Node, timeout: float) -> Step:
        return InterruptAfter(self._seconds(node, "interrupt_after"), timeout)

    def dtmf(self, node: yaml.Node, _timeout: float) -> Step:
        keys = self._text(node, "dtmf")
        if not keys or not set(keys) <= _KEYS:
            raise self._error(node, f"'dtmf' expects keys out of 0-9 * # A-D, in quotes, not {keys!r}")
        return Dtmf(keys)

    def _entries(self, node: yaml.MappingNode, known: set[str]) -> dict[str, yaml.Node]:
        entries: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if name not in known:
                raise self._error(key, f"expected one of {', '.join(sorted(known))}; got {name!r}")
            if name in entries:
                raise self._error(key, f"{name!r} is given twice")
            entries[name] = value
        return entries

    def _text(self, node: yaml.Node, name: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, f"{name!r} expects a text")
        return str(node.value)

    def _seconds(self, node: yaml.Node, name: str) -> float:
        try:
            seconds = float(self._text(node, name))
        except ValueError:
            seconds = -1.0
        if not 0.0 <= seconds <= 3600.0:
            raise self._error(node, f"{name!r} expects seconds, not {node.value!r}")
        return seconds

    def _error(self, node: yaml.Node | None, problem: str) -> ScriptError:
        line = f":{node.start_mark.line + 1}" if node is not None else ""
        step = f" step {self._step}:" if self._step else ""
        return ScriptError(f"{self._name}{line}:{step} {problem}")


_STEPS: dict[str, Callable[[_Reader, yaml.Node, float], Step]] = {
    "say": _Reader.say,
    "play": _Reader.play,
    "wait_for": _Reader.wait_for,
    "wait": _Reader.wait,
    "interrupt_after": _Reader.interrupt_after,
    "dtmf": _Reader.dtmf,
}
_CHOICES = ", ".join([*_STEPS, "hang_up"])
