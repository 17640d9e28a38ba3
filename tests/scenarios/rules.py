"""The rules that a line of ``expect`` may name: how it reads, and how a finished call is judged by it.

A rule returns why the call breaks it, or an empty text. Limits in seconds are a little wider over the wire
(``WIRE_SECONDS``), where voice activity is detected in windows and one machine plays carrier and server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from telephony.media.frame import FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE, Samples
from telephony.media.level import heard_span, rms_dbov
from tests.scenarios.engines import place_of
from tests.scenarios.scenario import Press, Speak
from tests.scenarios.took import Done, Took
from tests.scenarios.truth import lost_and_repeated

WIRE_SECONDS = 0.25
_STOPPED = 0.3  # seconds of silence

NOTES = (
    "acknowledged",
    "backchannel",
    "barge_in",
    "dtmf",
    "ducked",
    "engine_failed",
    "filler",
    "max_duration",
    "no_input",
    "no_match",
    "speculation",
    "tool_called",
    "too_many_tool_rounds",
    "transfer_requested",
    "watchdog",
)

Values = Mapping[str, str]
Judge = Callable[[Took, Values], str]


@dataclass(frozen=True, slots=True)
class Rule:
    """``example`` is how a line with it reads."""

    name: str
    pattern: re.Pattern[str]
    example: str
    judge: Judge


RULES: dict[str, Rule] = {}

_S = r"\d+(?:\.\d+)?"
_TEXT = r'"(?P<text>[^"]*)"'


def find(line: str) -> tuple[Rule, Values] | None:
    """The rule that a line names, and the line's values; ``None`` where no rule reads so."""
    for rule in RULES.values():
        match = rule.pattern.fullmatch(line)
        if match is not None:
            return rule, {name: value for name, value in match.groupdict().items() if value is not None}
    return None


def _rule(pattern: str, example: str) -> Callable[[Judge], Judge]:
    def register(judge: Judge) -> Judge:
        RULES[judge.__name__] = Rule(judge.__name__, re.compile(pattern), example, judge)
        return judge

    return register


def _limit(took: Took, seconds: str) -> float:
    return float(seconds) + (WIRE_SECONDS if took.place == "wire" else 0.0)


# When the agent is heard


@_rule(rf"reply (?P<number>\d+) within (?P<most>{_S})", "reply 1 within 0.8")
def reply_within(took: Took, values: Values) -> str:
    """The agent's n-th saying begins at most so long after the caller's last words or keys."""
    response = _response(took, int(values["number"]))
    if isinstance(response, str):
        return response
    return "" if response <= _limit(took, values["most"]) else f"it began after {response:.2f} s"


@_rule(rf"reply (?P<number>\d+) not before (?P<least>{_S})", "reply 1 not before 1.0")
def reply_not_before(took: Took, values: Values) -> str:
    """The agent's n-th saying leaves the caller at least so long."""
    response = _response(took, int(values["number"]))
    if isinstance(response, str):
        return response
    return "" if response >= float(values["least"]) else f"it began after {response:.2f} s"


@_rule(r"(?P<number>\d+) repl(?:y|ies)", "2 replies")
def replies(took: Took, values: Values) -> str:
    """The agent was heard so often, greetings and reprompts included."""
    count = len(took.sayings)
    return "" if count == int(values["number"]) else f"there were {count}"


@_rule(rf"silent within (?P<most>{_S}) of line (?P<line>\d+)", "silent within 0.5 of line 2")
def silent_within(took: Took, values: Values) -> str:
    """The agent's voice stops at most so long after the n-th line of ``call`` began, for 0.3 s or more."""
    done = _line(took, values)
    if done is None:
        return f"line {values['line']} of the call was never done"
    late = _stops(took, done.begin) - done.begin
    return "" if late <= _limit(took, values["most"]) else f"after {late:.2f} s"


@_rule(rf"talks over the caller for at most (?P<most>{_S})", "talks over the caller for at most 0.5")
def talks_over(took: Took, values: Values) -> str:
    """For how long in all caller and agent were heard at the same time."""
    over = 0.0
    for done in took.done:
        if isinstance(done.action.deed, Speak):
            over += sum(_audible(took, done.begin, done.end)) * FRAME_SECONDS
    return "" if over <= _limit(took, values["most"]) else f"for {over:.2f} s"


@_rule(r"no skips", "no skips")
def no_skips(took: Took, _values: Values) -> str:
    """The agent's audio never ran dry for a moment."""
    return "" if took.gaps == 0 else f"it skipped {took.gaps} times"


@_rule(rf"softer by (?P<least>{_S}) dB in line (?P<line>\d+)", "softer by 6 dB in line 2")
def softer_in(took: Took, values: Values) -> str:
    """The agent goes on, but softer, from 0.6 s into the n-th line of ``call`` to its end."""
    done = _line(took, values)
    if done is None:
        return f"line {values['line']} of the call was never done"
    before = rms_dbov(_agent(took, done.begin - 0.8, done.begin))
    during = rms_dbov(_agent(took, done.begin + 0.6, done.end))
    if during < -60:
        return "it fell silent"
    return "" if before - during >= float(values["least"]) else f"by {before - during:.1f} dB"


# What was said


@_rule(rf"heard (?P<number>\d+) (?P<how>is|begins|contains) {_TEXT}", 'heard 1 begins "The first"')
def heard(took: Took, values: Values) -> str:
    """The stored text of what the caller heard in the n-th turn in which something was heard."""
    texts = [turn.heard_text for turn in took.turns if turn.heard_text]
    return _compare(texts, int(values["number"]), values["how"], values["text"])


@_rule(rf"caller (?P<number>\d+) (?P<how>is|begins|contains) {_TEXT}", 'caller 1 is "track a parcel"')
def caller_said(took: Took, values: Values) -> str:
    """The stored words of the caller's n-th turn."""
    texts = [turn.caller_text for turn in took.turns if turn.caller_text]
    return _compare(texts, int(values["number"]), values["how"], values["text"])


@_rule(r"(?P<number>\d+) turns? of the caller", "1 turn of the caller")
def caller_turns(took: Took, values: Values) -> str:
    """In so many turns the caller said something."""
    texts = [turn.caller_text for turn in took.turns if turn.caller_text]
    return "" if len(texts) == int(values["number"]) else f"there were {len(texts)}: {texts}"


@_rule(rf"model (?P<number>\d+) is (?P<no>not )?told {_TEXT}", 'model 2 is not told "never played"')
def model_told(took: Took, values: Values) -> str:
    """The context of the last request for the caller's n-th turn holds a text, or does not."""
    number = int(values["number"])
    requests = [request for _, request in took.requests if place_of(request.messages)[0] == number]
    if not requests:
        return f"the model was never asked about turn {number}"
    context = "\n".join(message.text for message in requests[-1].messages)
    if (values["text"] in context) is ("no" not in values):
        return ""
    return f"it was told: {context}"


@_rule(r"at most (?P<most>\d+) requests?", "at most 2 requests")
def requests(took: Took, values: Values) -> str:
    """So many requests to the model, speculations included."""
    count = len(took.requests)
    return "" if count <= int(values["most"]) else f"there were {count}"


@_rule(rf"lost or repeated at most (?P<most>{_S})", "lost or repeated at most 0.06")
def lost_or_repeated(took: Took, values: Values) -> str:
    """Of what the caller heard of an uninterrupted reply, so much is missing or came twice."""
    lost, repeated = lost_and_repeated(took)
    if max(lost, repeated) <= float(values["most"]):
        return ""
    return f"lost {lost:.3f} s, repeated {repeated:.3f} s"


# What was noted


@_rule(
    rf"(?P<name>{'|'.join((*NOTES, 'clear'))})(?: (?P<times>\d+) times?)?(?: within (?P<most>{_S}))?"
    r'(?: with (?P<key>\w+) "(?P<value>[^"]*)")?',
    'barge_in within 0.6, backchannel with kind "noise", clear 1 time',
)
def noted(took: Took, values: Values) -> str:
    """It happened; so many times; so soon after the caller's last onset; with a detail."""
    times = _times(took, values)
    if "times" in values:
        return "" if len(times) == int(values["times"]) else f"it happened {len(times)} times"
    if not times:
        return "it did not happen"
    if "most" not in values:
        return ""
    late = [at - _onset(took, at) for at in times]
    return "" if max(late) <= _limit(took, values["most"]) else f"after {max(late):.2f} s"


@_rule(
    rf"no (?P<name>{'|'.join((*NOTES, 'clear'))})(?: with (?P<key>\w+) \"(?P<value>[^\"]*)\")?",
    "no barge_in",
)
def not_noted(took: Took, values: Values) -> str:
    """It did not happen."""
    times = _times(took, values)
    return "" if not times else f"it happened at {', '.join(f'{at:.2f}' for at in times)} s"


# How it ended


@_rule(rf"ends by (?P<who>caller|agent|carrier)(?: before (?P<most>{_S}))?", "ends by agent before 30")
def ends_by(took: Took, values: Values) -> str:
    """Who hung up, and how many seconds after the answer at most."""
    if took.hung_up_by != values["who"]:
        return f"it was ended by the {took.hung_up_by} at {took.duration:.1f} s"
    late = "most" in values and took.duration > _limit(took, values["most"])
    return f"it lasted {took.duration:.1f} s" if late else ""


@_rule(r"(?P<what>cause|outcome) (?P<value>\w+)", "cause no_input")
def ended_with(took: Took, values: Values) -> str:
    """The stored cause or outcome of the call."""
    stored = str(getattr(took.ended, values["what"], None))
    return "" if stored == values["value"] else f"it is {stored}"


def _response(took: Took, number: int) -> float | str:
    """From the caller's last words or keys before the n-th saying to its beginning."""
    if len(took.sayings) < number:
        return f"the agent was heard {len(took.sayings)} times"
    begin = took.sayings[number - 1].begin
    ends = [
        done.end for done in took.done if isinstance(done.action.deed, Speak | Press) and done.begin < begin
    ]
    return begin - max(ends, default=0.0)


def _times(took: Took, values: Values) -> list[float]:
    if values["name"] == "clear":
        return list(took.clears)
    return [
        at
        for at, note in took.notes(values["name"])
        if "key" not in values or str(note.detail.get(values["key"])) == values["value"]
    ]


def _onset(took: Took, before: float) -> float:
    return max((done.begin for done in took.done if done.begin <= before), default=0.0)


def _line(took: Took, values: Values) -> Done | None:
    return next((done for done in took.done if done.number == int(values["line"])), None)


def _agent(took: Took, begin: float, end: float) -> Samples:
    return took.agent[max(0, round(begin * SAMPLE_RATE)) : round(end * SAMPLE_RATE)]


def _audible(took: Took, begin: float, end: float) -> list[bool]:
    """Whether the agent is heard in each frame."""
    piece = _agent(took, begin, end)
    frames = piece[: len(piece) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    return [heard_span(frame) is not None for frame in frames]


def _stops(took: Took, begin: float) -> float:
    """When the agent's voice stopped for ``_STOPPED``, seen from a time on."""
    wanted, quiet = round(_STOPPED / FRAME_SECONDS), 0
    for number, loud in enumerate(_audible(took, begin, took.duration), start=1):
        quiet = 0 if loud else quiet + 1
        if quiet == wanted:
            return begin + (number - wanted) * FRAME_SECONDS
    return took.duration


def _compare(texts: list[str], number: int, how: str, wanted: str) -> str:
    if len(texts) < number:
        return f"there are only {len(texts)}: {texts}"
    text = texts[number - 1]
    fits = {"is": text == wanted, "begins": text.startswith(wanted), "contains": wanted in text}[how]
    return "" if fits else f"it is {text!r}"
