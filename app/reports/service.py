"""Reports: percentiles of latencies, and figures of calls."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.reports import repository
from app.reports.latency import StagePercentiles, latencies, latencies_by_day
from app.reports.repository import Part
from app.reports.schemas import (
    CallFigures,
    CallFiguresOf,
    CallReport,
    LatencyDay,
    LatencyDays,
    LatencyReport,
    StageLatency,
)


async def latency_report(
    session: AsyncSession,
    *,
    since: datetime,
    until: datetime,
    agent: str | None = None,
) -> LatencyReport:
    """Percentiles of each stage's latency in a period, of one agent or of all."""
    found = await latencies(session, since, until, agent)
    return LatencyReport(since=since, until=until, agent=agent, turns=_turns(found), stages=_stages(found))


async def latency_days(
    session: AsyncSession,
    *,
    since: datetime,
    until: datetime,
    agent: str | None = None,
) -> LatencyDays:
    """The same for each day."""
    days = [
        LatencyDay(day=day, turns=_turns(found), stages=_stages(found))
        for day, found in (await latencies_by_day(session, since, until, agent)).items()
    ]
    return LatencyDays(agent=agent, days=days)


async def call_report(
    session: AsyncSession, since: datetime, until: datetime, *, agent: str | None, by: Part
) -> CallReport:
    """Figures of the calls that began in a period, all together and by ``by``."""
    sums: dict[str, _Sums] = defaultdict(_Sums)
    for row in await repository.call_figures(session, since, until, agent, by):
        sums[row.part].add(row._asdict())
    for row in await repository.calls_by(session, since, until, agent, by, "outcome"):
        sums[row.part].outcomes[row.value] += row.n
    for row in await repository.calls_by(session, since, until, agent, by, "disposition"):
        sums[row.part].dispositions[row.value] += row.n
    nowhere = 0
    if agent is None:
        refused = await repository.refused_calls(session, since, until, by)
        nowhere = refused.pop(None, 0)
        for part, count in refused.items():
            sums[part or ""].refused += count
    total = _Sums(refused=nowhere)
    for each in sums.values():
        total.merge(each)
    parts = [CallFiguresOf(of=part, **sums[part].figures()) for part in sorted(sums)]
    return CallReport(
        since=since, until=until, agent=agent, total=CallFigures(**total.figures()), parts=parts
    )


@dataclass(slots=True)
class _Sums:
    """What is added up over calls, before it is divided."""

    refused: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    dispositions: Counter[str] = field(default_factory=Counter)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row of ``call_figures``."""
        self.counts.update({name: float(value) for name, value in row.items() if name != "part"})

    def merge(self, other: _Sums) -> None:
        """Take all of another's."""
        self.refused += other.refused
        for mine, more in (
            (self.counts, other.counts),
            (self.outcomes, other.outcomes),
            (self.dispositions, other.dispositions),
        ):
            mine.update(more)

    def figures(self) -> dict[str, Any]:
        """The fields of ``CallFigures``."""
        counts, calls = self.counts, int(self.counts["calls"])
        return {
            "calls": calls,
            "refused": self.refused,
            "answer_rate": _ratio(calls, calls + self.refused),
            "duration_seconds": counts["duration_seconds"],
            "mean_duration_seconds": _ratio(counts["duration_seconds"], counts["ended"]),
            "turns": int(counts["turns"]),
            "barge_ins": int(counts["barge_ins"]),
            "interruptions": int(counts["interruptions"]),
            "talk_ratio": _ratio(counts["agent_seconds"], counts["caller_seconds"]),
            "mean_score": _ratio(counts["score"], counts["scored"]),
            "outcomes": dict(self.outcomes),
            "dispositions": dict(self.dispositions),
        }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _turns(stages: Sequence[StagePercentiles]) -> int:
    return next(stage.count for stage in stages if stage.stage == "response")


def _stages(stages: Sequence[StagePercentiles]) -> list[StageLatency]:
    shown = []
    for stage in stages:
        p50, p90, p95, p99 = stage.percentiles or (None, None, None, None)
        shown.append(
            StageLatency(stage=stage.stage, count=stage.count, p50_ms=p50, p90_ms=p90, p95_ms=p95, p99_ms=p99)
        )
    return shown
