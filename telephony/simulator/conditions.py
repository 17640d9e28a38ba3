"""What is imperfect about a line: delays, jitter, stalls, lost marks. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stall:
    """The carrier reads nothing from the socket for ``seconds``, beginning ``at`` seconds into the call."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class LineConditions:
    """Imperfections of one call's line; all times in seconds, all nothing by default.

    ``to_agent`` and ``to_caller`` delay each direction, ``jitter`` is the most by which a caller frame
    is late (uniform; order is kept, as TCP keeps it), ``mark_delay`` is how late a mark's echo is,
    ``lost_marks`` and ``lost_frames`` the share of marks never echoed and of caller frames that never arrive
    (0 to 1), drawn from ``seed``. ``noise`` is the level in dBFS of white noise on the caller's line while
    the caller is silent (an ``Utterance`` carries its own); None: digital silence. ``echo`` is the level in
    dB, at most 0, at which the agent's own audio comes back ``echo_delay`` later, as from a telephone that
    lies on the table; None: none.
    """

    to_agent: float = 0.0
    to_caller: float = 0.0
    jitter: float = 0.0
    mark_delay: float = 0.0
    lost_marks: float = 0.0
    lost_frames: float = 0.0
    noise: float | None = None
    echo: float | None = None
    echo_delay: float = 0.1
    stalls: tuple[Stall, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.to_agent, self.to_caller, self.jitter, self.mark_delay, self.echo_delay) < 0:
            raise ValueError("delays of a line cannot be negative")
        if self.noise is not None and not -90.0 <= self.noise <= -20.0:
            raise ValueError("noise of a line is between -90 and -20 dBFS")
        if self.echo is not None and not -60.0 <= self.echo <= 0.0:
            raise ValueError("echo of a line is between -60 and 0 dB")
        if not (0.0 <= self.lost_marks <= 1.0 and 0.0 <= self.lost_frames <= 1.0):
            raise ValueError("lost_marks and lost_frames are shares between 0 and 1")


PERFECT = LineConditions()
