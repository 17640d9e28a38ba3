"""Text for a terminal: a call as the caller heard it, and where the time of a turn went. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from telephony.simulator.heard import HeardCall
from telephony.simulator.measure import HeardTurn, Percentiles, turns

_WIDTH = 48
_FULL, _THIN = "█", "▏"


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of one turn's response. Seconds, counted from the end of the caller's last audible sample."""

    name: str
    begin: float
    end: float


def waterfall(title: str, stages: Sequence[Stage], width: int = _WIDTH) -> str:
    """The stages of one turn as bars under each other on one time axis."""
    if not stages:
        return f"{title}\n  no stages"
    first = min(0.0, *(stage.begin for stage in stages))
    last = max(stage.end for stage in stages)
    scale = width / max(last - first, 1e-9)
    label = max(len(stage.name) for stage in stages)
    lines = [title]
    for stage in stages:
        left = round((stage.begin - first) * scale)
        length = round((stage.end - first) * scale) - left
        bar = (" " * left + (_FULL * length or _THIN)).ljust(width + 1)
        lines.append(f"  {stage.name:<{label}}  {bar} {milliseconds(stage.end - stage.begin):>6} ms")
    return "\n".join(lines)


def call_report(call: HeardCall) -> str:
    """Every turn with its latency, then what was wrong, then who hung up."""
    measured = turns(call)
    lines = [
        f"{call.from_number} -> {call.to_number}  {call.duration:.1f} s, answered after {call.setup:.3f} s"
    ]
    lines += [turn_line(turn) for turn in measured]
    responses = Percentiles.of(turn.response for turn in measured if turn.response is not None)
    if responses is not None:
        lines.append(
            f"response p50 {milliseconds(responses.p50)} ms, longest {milliseconds(responses.longest)} ms"
        )
    if call.counts.gaps:
        lines.append(f"the agent's audio skipped {call.counts.gaps} times")
    lines += [
        f"at {fault.at:.2f} s the carrier warns {fault.code or '-'}: {fault.reason}"
        for fault in call.violations
    ]
    lines += [f"dialled {number}" for number in call.dialled]
    lines.append(f"hung up by the {call.hung_up_by}" if call.hung_up_by != "rejected" else "rejected")
    return "\n".join(lines)


def turn_line(turn: HeardTurn) -> str:
    """One turn on one line."""
    answer = "no answer" if turn.response is None else f"{milliseconds(turn.response)} ms"
    extra = ""
    if turn.barge_in:
        cleared = "never" if turn.clear_after is None else f"after {milliseconds(turn.clear_after)} ms"
        extra = f"  [barge-in, cleared {cleared}]"
    if turn.cut_off:
        extra += "  [agent spoke over the caller]"
    return f"{turn.number:>3}  {turn.onset:7.2f} s  {answer:>10}  {turn.text}{extra}"


def milliseconds(seconds: float) -> str:
    """Seconds as whole milliseconds with a thousands separator."""
    return f"{seconds * 1000:,.0f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned to the right, the first one to the left."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([line(head), "  ".join("-" * width for width in widths), *(line(row) for row in rows)])
