"""Latency as the caller hears it. Pure.

A response is measured from the end of the caller's last audible sample to the agent's first audible one,
both on the call's line: the carrier's 20 ms framing of the caller's voice is part of it, the network is
what ``LineConditions`` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from telephony.media.frame import SAMPLE_RATE, Samples
from telephony.media.level import AUDIBLE
from telephony.simulator.heard import EventKind, HeardCall, Spoken

PAUSE_SECONDS = 0.25
"""Silence that separates two bursts of the agent's voice; pauses inside a phrase are shorter."""


@dataclass(frozen=True, slots=True)
class Burst:
    """A stretch of the agent's voice without a pause: its first audible sample, the end of its last."""

    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """One utterance of the caller and what came back. Times are seconds on the call's line.

    ``response`` is None when the agent did not answer before the caller spoke again. ``barge_in``: the
    caller began over the agent; then ``clear_after`` is from that onset to the server's ``clear`` and
    ``talked_over`` to the agent's last audible sample. ``cut_off``: the agent began over the caller.
    """

    number: int
    text: str
    onset: float
    end: float
    response: float | None
    barge_in: bool
    clear_after: float | None
    talked_over: float | None
    cut_off: bool


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of a number of measurements, in seconds."""

    count: int
    p50: float
    p95: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Percentiles | None:
        """None of no measurements."""
        values = np.fromiter(seconds, dtype=np.float64)
        if not values.size:
            return None
        p50, p95, p99 = (float(value) for value in np.percentile(values, (50, 95, 99)))
        return cls(int(values.size), p50, p95, p99, float(values.max()))


def bursts(samples: Samples, clears: Sequence[float] = (), pause: float = PAUSE_SECONDS) -> list[Burst]:
    """The agent's voice in bursts: apart by at least ``pause`` seconds, or by a ``clear``."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > AUDIBLE)
    if not loud.size:
        return []
    apart = np.diff(loud) >= pause * SAMPLE_RATE
    for clear in clears:
        index = int(np.searchsorted(loud, clear * SAMPLE_RATE))
        if 0 < index < loud.size:
            apart[index - 1] = True
    ends = np.append(np.flatnonzero(apart), loud.size - 1)
    begins = np.concatenate([[0], ends[:-1] + 1])
    return [
        Burst(float(loud[begin]) / SAMPLE_RATE, float(loud[end] + 1) / SAMPLE_RATE)
        for begin, end in zip(begins, ends, strict=True)
    ]


def turns(call: HeardCall) -> list[HeardTurn]:
    """What each utterance of the caller was answered with."""
    clears = [event.at for event in call.events if event.kind is EventKind.CLEARED]
    heard = bursts(call.agent, clears)
    measured = []
    for index, spoken in enumerate(call.spoken):
        following = call.spoken[index + 1].onset if index + 1 < len(call.spoken) else float("inf")
        measured.append(_turn(index + 1, spoken, following, heard, clears))
    return measured


def _turn(
    number: int, spoken: Spoken, following: float, heard: Sequence[Burst], clears: Sequence[float]
) -> HeardTurn:
    onset, end = spoken.onset, spoken.end
    over = next((burst for burst in heard if burst.begin < onset < burst.end), None)
    clear = next((at for at in clears if onset <= at < following), None)
    answer = next((burst for burst in heard if end <= burst.begin < following), None)
    return HeardTurn(
        number=number,
        text=spoken.utterance.text,
        onset=onset,
        end=end,
        response=None if answer is None else answer.begin - end,
        barge_in=over is not None,
        clear_after=clear - onset if over is not None and clear is not None else None,
        talked_over=over.end - onset if over is not None else None,
        cut_off=any(onset <= burst.begin < end for burst in heard),
    )
