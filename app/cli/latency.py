"""``trunkline latency``: where the time of the turns went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
import uvloop

from app.cli.settings import read_settings
from app.db.start import open_database
from app.reports.schemas import LatencyReport
from app.reports.service import latency_report
from telephony.simulator.report import table


def latency(
    hours: Annotated[float, typer.Option(min=0.01, help="The last so many hours.")] = 24.0,
    agent: Annotated[str | None, typer.Option(help="Only this agent's turns.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print p50, p90, p95 and p99 of each stage of the stored turns, in milliseconds."""
    now = datetime.now(UTC)

    async def work() -> LatencyReport:
        settings = read_settings()
        url = settings.database_url.get_secret_value()
        async with open_database(url, settings.data_dir) as database, database.transaction() as session:
            return await latency_report(session, since=now - timedelta(hours=hours), until=now, agent=agent)

    report = uvloop.run(work())
    if as_json:
        print(report.model_dump_json())
        return
    rows = [
        (
            stage.stage,
            str(stage.count),
            *(_number(value) for value in (stage.p50_ms, stage.p90_ms, stage.p95_ms, stage.p99_ms)),
        )
        for stage in report.stages
    ]
    print(table(("stage", "turns", "p50 ms", "p90 ms", "p95 ms", "p99 ms"), rows))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
