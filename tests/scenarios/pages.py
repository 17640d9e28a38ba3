"""One page a call, and an index of them: what was heard, what the agent made of it, and what was expected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

from telephony.simulator.timeline import Moment, Span, Timeline
from tests.scenarios.judge import Verdict, judge
from tests.scenarios.scenario import Speak
from tests.scenarios.took import Took

_ALARMS = frozenset({"watchdog", "engine_failed"})
_STYLE = """
body { font: 14px sans-serif; margin: 2em; color: #222 }
.picture { overflow-x: auto; border: 1px solid #ddd }
td { text-align: left; padding: 2px 12px 2px 0; vertical-align: top }
.failed { color: #c22; white-space: pre-wrap }
.met { color: #282 }
.unheard { color: #aaa; text-decoration: line-through }
pre { background: #f6f6f6; padding: 8px }
"""


class Pages:
    """A folder of pages. ``add`` writes a call's, ``close`` the index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._calls: list[tuple[Took, list[Verdict]]] = []

    def add(self, took: Took) -> None:
        """Write the page of a call."""
        verdicts = judge(took)
        self._calls.append((took, verdicts))
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / _file(took)).write_text(page(took, verdicts), encoding="utf-8")

    def close(self) -> None:
        """Write the index."""
        if self._calls:
            (self.folder / "index.html").write_text(index(self._calls), encoding="utf-8")

    def speculations(self) -> Counter[str]:
        """How many of the calls' speculations were started, used and dropped."""
        total: Counter[str] = Counter()
        for took, _ in self._calls:
            for _, note in took.notes("speculation"):
                total.update({fate: int(count) for fate, count in note.detail.items()})
        return total


def page(took: Took, verdicts: Sequence[Verdict]) -> str:
    """All of one call."""
    scenario = took.scenario
    where = "in virtual time" if took.place == "virtual" else "over the wire"
    source = scenario.path.read_text(encoding="utf-8") if scenario.path.exists() else ""
    return "\n".join(
        [
            _head(f"{scenario.name}, {where}"),
            f"<p>{escape(scenario.why)}</p>",
            f'<div class="picture">{picture(took)}</div>',
            _table("Expected", [_verdict(verdict) for verdict in verdicts]),
            _table("Said", [_turn(took, index) for index in range(len(took.turns))]),
            _table(
                "Noted", [_cells(f"{at:.2f} s", note.name, str(note.detail)) for at, note in took.all_notes()]
            ),
            f"<h2>{escape(scenario.path.name)}</h2><pre>{escape(source)}</pre>",
        ]
    )


def picture(took: Took) -> str:
    """Both voices, voice activity, who had the floor, words, marks and notes on one time axis."""
    drawn = Timeline(took.duration)
    drawn.voice("caller", took.caller)
    drawn.spans(
        "said",
        [
            Span(
                done.begin,
                done.end,
                done.action.deed.text if isinstance(done.action.deed, Speak) else done.action.text,
            )
            for done in took.done
            if done.end > done.begin
        ],
    )
    drawn.level("speech", took.windows, took.scenario.profile.turns.vad_threshold)
    ends = [*(change.at for change in took.states[1:]), took.duration]
    drawn.spans(
        "turn", [Span(change.at, end, change.state) for change, end in zip(took.states, ends, strict=False)]
    )
    drawn.voice("agent", took.agent, "agent")
    drawn.spans("heard", _heard(took))
    drawn.moments("notes", [_moment(at, note.name) for at, note in took.all_notes()])
    drawn.moments(
        "marks",
        [
            *(Moment(mark.due, mark.name) for mark in took.marks),
            *(Moment(at, "clear", "alarm") for at in took.clears),
        ],
    )
    return drawn.svg()


def index(calls: Sequence[tuple[Took, list[Verdict]]]) -> str:
    """All calls, those that failed first."""
    rows = []
    for took, verdicts in sorted(calls, key=lambda each: (not _problems(each[1]), each[0].scenario.name)):
        problems = _problems(verdicts)
        link = f'<a href="{_file(took)}">{escape(took.scenario.name)}</a>'
        result = (
            '<span class="met">met</span>'
            if not problems
            else f'<span class="failed">{len(problems)} failed</span>'
        )
        rows.append(f"<tr><td>{link}<td>{took.place}<td>{result}<td>{escape(took.scenario.why)}</tr>")
    return _head("Scenarios") + f"<table>{''.join(rows)}</table>"


def _head(title: str) -> str:
    shown = escape(title)
    return (
        f'<!doctype html><meta charset="utf-8"><title>{shown}</title><style>{_STYLE}</style><h1>{shown}</h1>'
    )


def _file(took: Took) -> str:
    return f"{took.scenario.name}.{took.place}.html"


def _problems(verdicts: Sequence[Verdict]) -> list[str]:
    return [verdict.problem for verdict in verdicts if verdict.problem]


def _moment(at: float, name: str) -> Moment:
    return Moment(at, name, "alarm" if name in _ALARMS else "moment")


def _heard(took: Took) -> list[Span]:
    """What the caller heard of each saying, and beside it, grey, what was never heard."""
    turns = [turn for turn in took.turns if turn.heard_text]
    spans = []
    begins = [*(saying.begin for saying in took.sayings), took.duration]
    for number, (saying, until) in enumerate(zip(took.sayings, begins[1:], strict=True)):
        turn = turns[number] if number < len(turns) else None
        spans.append(Span(saying.begin, saying.end, turn.heard_text if turn else "", "heard"))
        unheard = turn.reply_text.removeprefix(turn.heard_text).strip() if turn else ""
        if unheard and until > saying.end:
            spans.append(Span(saying.end, min(until, saying.end + 1.5), unheard, "unheard"))
    return spans


def _verdict(verdict: Verdict) -> str:
    look, result = ("failed", verdict.problem) if verdict.problem else ("met", "met")
    line = f"line {verdict.line}" if verdict.line else ""
    return f'<td>{line}<td>{escape(verdict.text)}<td class="{look}">{escape(result)}'


def _turn(took: Took, number: int) -> str:
    turn = took.turns[number]
    unheard = turn.reply_text.removeprefix(turn.heard_text)
    said = f'{escape(turn.heard_text)}<span class="unheard">{escape(unheard)}</span>'
    return f"{_cells(str(turn.index + 1), turn.caller_text or '(nobody)')}<td>{said}"


def _cells(*texts: str) -> str:
    return "".join(f"<td>{escape(text)}" for text in texts)


def _table(title: str, rows: Sequence[str]) -> str:
    return f"<h2>{title}</h2><table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"
