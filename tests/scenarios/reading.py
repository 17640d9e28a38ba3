"""A scenario's file to a ``Scenario``. Every error names the file, the line, and what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from app.voice.profile import AgentProfile
from telephony.simulator.conditions import PERFECT, LineConditions, Stall
from tests.scenarios import rules
from tests.scenarios.scenario import (
    Action,
    After,
    Ask,
    At,
    Deed,
    Expectation,
    Fail,
    HangUp,
    Into,
    ModelStep,
    Place,
    Press,
    Scenario,
    Sound,
    Speak,
    Stay,
    ToldRecogniser,
    ToldVoice,
    Use,
    When,
)

CALLS = Path(__file__).parent / "calls"
COMPLAINTS = range(1, 16)
SECONDS_A_WORD = 0.35
"""How fast the caller speaks where no time is given."""

_S = r"\d+(?:\.\d+)?"
_WHEN = re.compile(
    rf"(?:(?P<at>{_S})(?:-(?P<until>{_S}))?|reply (?P<into>\d+) \+ (?P<inside>{_S})"
    rf"|after reply (?P<after>\d+)(?: \+ (?P<later>{_S}))?)(?: for (?P<lasts>{_S}))?\s+"
)
_WHENS = (
    "a time to begin with: 1.5, 0.5-2.0, reply 1 + 0.8, after reply 1 + 0.5, each with 'for 0.4' if need be"
)
_DEEDS: dict[str, re.Pattern[str]] = {
    "speak": re.compile(rf'caller "(?P<text>[^"]+)"(?: at (?P<level>-?{_S}) dB)?'),
    "sound": re.compile(rf"(?P<kind>cough|noise)(?: at (?P<level>-{_S}) dBFS)?"),
    "press": re.compile(r'dtmf "(?P<keys>[0-9*#A-D]+)"'),
    "hang_up": re.compile(r"hang up"),
    "stay": re.compile(r"stay"),
}
_SOUNDS = 'caller "words", cough, noise, dtmf "123#", hang up or stay'
_COUGH_SECONDS = 0.3
_SOUND_LEVEL = -16.0
_LOST = {"all": 1.0, "some": 0.3}


class ScenarioError(Exception):
    """A scenario's file cannot be used: file, line, what was expected."""


def read_all(folder: Path = CALLS) -> list[Scenario]:
    """Every scenario of a folder, by name. Raises ``ScenarioError``."""
    return [read(path) for path in sorted(folder.glob("*.yaml"))]


def read(path: Path) -> Scenario:
    """The scenario in a file. Raises ``ScenarioError``."""
    return parse(path.read_text(encoding="utf-8"), path)


def parse(text: str, path: Path) -> Scenario:
    """A scenario from text; ``path`` is what errors call it. Raises ``ScenarioError``."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        raise ScenarioError(f"{path}:{line}: not YAML: {getattr(error, 'problem', error)}") from error
    return _Reader(path).scenario(text, root)


class _Reader:
    """Reads one document."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def scenario(self, text: str, root: yaml.Node | None) -> Scenario:
        if not text.startswith("# "):
            raise ScenarioError(f"{self._path}:1: expected a first line '# why this call matters'")
        parts = self._entries(
            root,
            {"complaint", "only", "agent", "model", "recogniser", "voice", "line", "call", "expect"},
        )
        for name in ("call", "expect"):
            if name not in parts:
                raise ScenarioError(f"{self._path}:1: expected {name!r}, a list of lines")
        read: dict[str, Callable[[yaml.Node], Any]] = {
            "complaint": self._complaint,
            "only": self._place,
            "model": self._model,
            "recogniser": self._recogniser,
            "voice": self._voice,
            "line": self._line_conditions,
        }
        actions = [self._action(node) for node in self._items(parts["call"])]
        return Scenario(
            path=self._path,
            why=text.splitlines()[0].removeprefix("# ").strip(),
            profile=self._profile(parts.get("agent")),
            actions=actions,
            expectations=[self._expectation(node, len(actions)) for node in self._items(parts["expect"])],
            **{
                {"only": "place"}.get(name, name): reader(parts[name])
                for name, reader in read.items()
                if name in parts
            },
        )

    # The agent

    def _profile(self, node: yaml.Node | None) -> AgentProfile:
        values = self._value(node) if node is not None else {}
        if not isinstance(values, dict):
            raise self._error(node, "'agent' expects the fields of an agent's profile")
        try:
            return AgentProfile.model_validate({"name": "scenario", **values})
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            where = ".".join(map(str, problem["loc"]))
            raise self._error(_deepest(node, problem["loc"]), f"agent.{where}: {problem['msg']}") from None

    # The engines and the line

    def _model(self, node: yaml.Node) -> Sequence[Sequence[ModelStep]]:
        turns = []
        for turn in self._items(node):
            steps = turn.value if isinstance(turn, yaml.SequenceNode) else [turn]
            turns.append([self._step(step) for step in steps])
        return turns

    def _step(self, node: yaml.Node) -> ModelStep:
        value = self._value(node)
        match value:
            case str():
                return value
            case bool():
                pass
            case int() | float() if 0 <= value <= 3600:
                return float(value)
            case {"fail": str()} if len(value) == 1:
                return Fail()
            case {"tool": str(tool), **arguments}:
                return Use(tool, {str(name): str(given) for name, given in arguments.items()})
            case {"ask_digits": int() | None as length} if len(value) == 1:
                return Ask(length)
        raise self._error(
            node,
            "the model expects a text, seconds of waiting, {fail: why}, {tool: name, argument: value} "
            f"or {{ask_digits: how many}}, not {value!r}",
        )

    def _recogniser(self, node: yaml.Node) -> ToldRecogniser:
        delays = {"final_after", "interim_after"}
        parts = self._entries(node, {*delays, "finals", "interims"})
        told: dict[str, Any] = {
            name: self._number(part, 0, 60) for name, part in parts.items() if name in delays
        }
        if "finals" in parts:
            told["finals"] = self._choice(parts["finals"], ("normal", "lost", "empty"))
        if "interims" in parts:
            told["interims"] = self._choice(parts["interims"], ("normal", "none"))
        return ToldRecogniser(**told)

    def _voice(self, node: yaml.Node) -> ToldVoice:
        parts = self._entries(node, {"first_audio_after", "silent", "fails"})
        told: dict[str, Any] = {}
        if "first_audio_after" in parts:
            told["first_audio_after"] = self._number(parts["first_audio_after"], 0, 60)
        for name in ("silent", "fails"):
            if name in parts:
                told[name] = self._choice(parts[name], ("true", "false")) == "true"
        return ToldVoice(**told)

    def _line_conditions(self, node: yaml.Node) -> LineConditions:
        names = {
            "jitter": ("jitter", 0.0, 1.0),
            "delay": ("to_agent", 0.0, 2.0),
            "loss": ("lost_frames", 0.0, 1.0),
            "mark_delay": ("mark_delay", 0.0, 5.0),
            "echo_db": ("echo", -60.0, 0.0),
            "echo_delay": ("echo_delay", 0.0, 1.0),
            "noise_dbfs": ("noise", -90.0, -20.0),
        }
        parts = self._entries(node, {*names, "lost_marks", "stall"})
        told: dict[str, Any] = {
            field: self._number(parts[name], least, most)
            for name, (field, least, most) in names.items()
            if name in parts
        }
        if "delay" in parts:
            told["to_caller"] = told["to_agent"]
        if "lost_marks" in parts:
            told["lost_marks"] = _LOST[self._choice(parts["lost_marks"], tuple(_LOST))]
        if "stall" in parts:
            told["stalls"] = (self._stall(parts["stall"]),)
        return LineConditions(**told) if told else PERFECT

    def _stall(self, node: yaml.Node) -> Stall:
        match = re.fullmatch(rf"({_S})-({_S})", self._text(node))
        if match is None or float(match[2]) <= float(match[1]):
            raise self._error(node, f"'stall' expects a time such as 3.0-4.5, not {self._text(node)!r}")
        return Stall(float(match[1]), float(match[2]) - float(match[1]))

    # The call

    def _action(self, node: yaml.Node) -> Action:
        line = self._text(node)
        when = _WHEN.match(line)
        if when is None:
            raise self._error(node, f"expected {_WHENS}; got {line!r}")
        rest = line[when.end() :]
        for kind, pattern in _DEEDS.items():
            match = pattern.fullmatch(rest)
            if match is not None:
                return Action(_when(when), self._deed(node, kind, when, match), line)
        raise self._error(node, f"expected {_SOUNDS}; got {rest!r}")

    def _deed(self, node: yaml.Node, kind: str, when: re.Match[str], what: re.Match[str]) -> Deed:
        seconds = self._length(node, when)
        match kind:
            case "speak":
                lasts = seconds or SECONDS_A_WORD * len(what["text"].split())
                return Speak(what["text"], lasts, float(what["level"] or 0.0))
            case "sound":
                if what["kind"] == "noise" and seconds is None:
                    raise self._error(
                        node, "noise expects how long: 1.0-2.0 noise, or reply 1 + 1 for 0.5 noise"
                    )
                level = float(what["level"] or _SOUND_LEVEL)
                return Sound(
                    "cough" if what["kind"] == "cough" else "noise", seconds or _COUGH_SECONDS, level
                )
            case "press":
                return Press(what["keys"])
            case "hang_up":
                return HangUp()
            case _:
                return Stay()

    def _length(self, node: yaml.Node, when: re.Match[str]) -> float | None:
        if when["lasts"]:
            return float(when["lasts"])
        if not when["until"]:
            return None
        seconds = float(when["until"]) - float(when["at"])
        if seconds <= 0:
            raise self._error(
                node, f"expected a time that ends after it begins; got {when.group().strip()!r}"
            )
        return seconds

    # What is expected

    def _expectation(self, node: yaml.Node, actions: int) -> Expectation:
        place: Place | None = None
        if isinstance(node, yaml.MappingNode):
            ((place, node),) = [
                (self._place(key), value) for key, value in node.value[:1] if len(node.value) == 1
            ] or [(self._place(node), node)]
        line = self._text(node)
        found = rules.find(line)
        if found is None:
            known = "; ".join(rule.example for rule in rules.RULES.values())
            raise self._error(node, f"expected a line such as: {known}; got {line!r}")
        rule, values = found
        if int(values.get("line", "1")) > actions:
            raise self._error(node, f"there is no line {values['line']} in 'call', which has {actions}")
        return Expectation(rule.name, values, line, node.start_mark.line + 1, place)

    # Parts of YAML

    def _complaint(self, node: yaml.Node) -> int:
        return int(self._number(node, COMPLAINTS[0], COMPLAINTS[-1]))

    def _place(self, node: yaml.Node) -> Place:
        return "wire" if self._choice(node, ("virtual", "wire")) == "wire" else "virtual"

    def _entries(self, node: yaml.Node | None, known: set[str]) -> dict[str, yaml.Node]:
        expected = ", ".join(sorted(known))
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, f"expected some of {expected}")
        entries: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if key.value not in known:
                raise self._error(key, f"expected one of {expected}; got {key.value!r}")
            if key.value in entries:
                raise self._error(key, f"{key.value!r} is given twice")
            entries[key.value] = value
        return entries

    def _items(self, node: yaml.Node) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise self._error(node, "expected a list")
        return list(node.value)

    def _text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "expected one line of text")
        return str(node.value)

    def _number(self, node: yaml.Node, least: float, most: float) -> float:
        try:
            number = float(self._text(node))
        except ValueError:
            number = float("nan")
        if not least <= number <= most:
            raise self._error(node, f"expected a number from {least} to {most}; got {self._text(node)!r}")
        return number

    def _choice(self, node: yaml.Node, choices: Sequence[str]) -> str:
        text = self._text(node)
        if text not in choices:
            raise self._error(node, f"expected {' or '.join(choices)}; got {text!r}")
        return text

    def _value(self, node: yaml.Node) -> Any:
        constructor = yaml.constructor.SafeConstructor()
        return constructor.construct_document(node)

    def _error(self, node: yaml.Node | None, problem: str) -> ScenarioError:
        line = node.start_mark.line + 1 if node is not None else 1
        return ScenarioError(f"{self._path}:{line}: {problem}")


def _when(match: re.Match[str]) -> When:
    if match["into"]:
        return Into(int(match["into"]), float(match["inside"]))
    if match["after"]:
        return After(int(match["after"]), float(match["later"] or 0.5))
    return At(float(match["at"]))


def _deepest(node: yaml.Node | None, location: Sequence[int | str]) -> yaml.Node | None:
    """The node at a location inside a document, or the last one on the way to it."""
    for step in location:
        if isinstance(node, yaml.MappingNode):
            entry = next(((key, value) for key, value in node.value if key.value == step), None)
            if entry is None:
                return node
            node = entry[0] if not isinstance(entry[1], yaml.CollectionNode) else entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
        else:
            return node
    return node
