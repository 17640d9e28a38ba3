"""A call drawn as SVG: lanes under each other on one time axis. Pure.

Each lane is a voice, a level between 0 and 1, stretches of time with a text, or moments. Times are seconds
on the call's line. The picture stands alone; a page that holds it may restyle its classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np

from telephony.media.frame import SAMPLE_RATE, Samples

STYLE = """
text { font: 11px sans-serif; fill: #333 }
.grid { stroke: #e4e4e4 }
.voice { fill: #4a78b5 }
.agent { fill: #c77b30 }
.level { fill: #8aa86a }
.limit { stroke: #b33; stroke-dasharray: 3 3 }
.span { fill: #dfe8f3; stroke: #9ab }
.heard { fill: #fbe6cf; stroke: #c9a06d }
.unheard { fill: #f6f6f6; stroke: #ccc }
.unheard-text { fill: #aaa }
.moment { stroke: #555 }
.alarm { stroke: #c22 }
.alarm-text { fill: #c22 }
"""

_LABEL = 90  # pixels left of the time axis
_MARGIN = 110  # pixels right of it, for the text of a last moment
_GAP = 8
_LOUDEST = 16_000  # the amplitude that fills a voice's lane; speech on the telephone seldom exceeds it
_BIN = 0.02  # seconds of a waveform in one bar


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time; ``look`` is a class of ``STYLE``."""

    begin: float
    end: float
    text: str
    look: str = "span"


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time."""

    at: float
    text: str
    look: str = "moment"


class Timeline:
    """A picture of ``seconds``, to be filled lane by lane from the top."""

    def __init__(self, seconds: float, pixels_a_second: float = 80.0) -> None:
        self._seconds = max(seconds, 1.0)
        self._scale = pixels_a_second
        self._top = 24.0
        self._parts: list[str] = []

    def voice(self, label: str, samples: Samples, look: str = "voice", height: float = 60.0) -> None:
        """A lane with a waveform: the loudest sample up and down in every 20 ms."""
        size = round(_BIN * SAMPLE_RATE)
        count = len(samples) // size
        shares = np.clip(samples[: count * size] / _LOUDEST, -1.0, 1.0)
        bins = shares.reshape(count, size) if count else np.zeros((1, 1))
        middle, half = self._top + height / 2, height / 2
        ups = [
            f"{self._x(i * _BIN):.1f},{middle - value * half:.1f}" for i, value in enumerate(bins.max(axis=1))
        ]
        downs = [
            f"{self._x(i * _BIN):.1f},{middle - value * half:.1f}" for i, value in enumerate(bins.min(axis=1))
        ]
        self._parts.append(f'<polygon class="{look}" points="{" ".join([*ups, *reversed(downs)])}"/>')
        self._end_lane(label, height)

    def level(
        self, label: str, values: Sequence[tuple[float, float]], limit: float, height: float = 36.0
    ) -> None:
        """A lane with a value from 0 to 1 at each time, and a dashed line at ``limit``."""
        floor = self._top + height
        points = [f"{self._x(at):.1f},{floor - value * height:.1f}" for at, value in values]
        if points:
            ends = (f"{self._x(values[0][0]):.1f},{floor}", f"{self._x(values[-1][0]):.1f},{floor}")
            self._parts.append(f'<polygon class="level" points="{ends[0]} {" ".join(points)} {ends[1]}"/>')
        line = floor - limit * height
        self._parts.append(
            f'<line class="limit" x1="{_LABEL}" x2="{self._x(self._seconds):.1f}" y1="{line}" y2="{line}"/>'
        )
        self._end_lane(label, height)

    def spans(self, label: str, spans: Sequence[Span], height: float = 20.0) -> None:
        """A lane with boxes; a text that does not fit is cut off and shown in full by the pointer."""
        for span in spans:
            left, width = self._x(span.begin), max(1.5, (span.end - span.begin) * self._scale)
            room = int(width / 6.6)
            text = span.text if len(span.text) <= room else span.text[: max(0, room - 1)] + "…" * (room > 1)
            self._parts.append(
                f"<g><title>{escape(f'{span.begin:.2f}-{span.end:.2f} s  {span.text}')}</title>"
                f'<rect class="{span.look}" x="{left:.1f}" y="{self._top}" width="{width:.1f}" '
                f'height="{height}"/>{self._text(left + 3, self._top + height - 6, text, span.look)}</g>'
            )
        self._end_lane(label, height)

    def moments(self, label: str, moments: Sequence[Moment]) -> None:
        """A lane with strokes, each with its text, on as many lines as keep the texts apart."""
        ends: list[float] = []  # where the text of each line ends
        for moment in sorted(moments, key=lambda moment: moment.at):
            left = self._x(moment.at)
            row = next((row for row, end in enumerate(ends) if end < left), len(ends))
            ends[row : row + 1] = [left + 8 + 6.2 * len(moment.text)]
            top = self._top + 15 * row
            self._parts.append(
                f"<g><title>{escape(f'{moment.at:.2f} s  {moment.text}')}</title>"
                f'<line class="{moment.look}" x1="{left:.1f}" x2="{left:.1f}" y1="{top}" y2="{top + 13}"/>'
                f"{self._text(left + 3, top + 11, moment.text, moment.look)}</g>"
            )
        self._end_lane(label, 15.0 * max(1, len(ends)))

    def svg(self) -> str:
        """The picture."""
        width = self._x(self._seconds) + _MARGIN
        seconds = range(int(self._seconds) + 1)
        grid = "".join(
            f'<line class="grid" x1="{self._x(at):.1f}" x2="{self._x(at):.1f}" y1="16" y2="{self._top}"/>'
            f'<text x="{self._x(at) - 3:.1f}" y="12">{at}</text>'
            for at in seconds
        )
        size = f'width="{width:.0f}" height="{self._top:.0f}" viewBox="0 0 {width:.0f} {self._top:.0f}"'
        drawn = "".join(self._parts)
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{STYLE}</style>{grid}{drawn}</svg>'

    def _x(self, at: float) -> float:
        return _LABEL + at * self._scale

    def _text(self, left: float, top: float, text: str, look: str) -> str:
        return f'<text class="{look}-text" x="{left:.1f}" y="{top}">{escape(text)}</text>'

    def _end_lane(self, label: str, height: float) -> None:
        self._parts.append(f'<text x="4" y="{self._top + height / 2 + 4}">{escape(label)}</text>')
        self._top += height + _GAP
