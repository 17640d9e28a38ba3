"""``trunkline worker``."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.settings import read_settings
from config.logging import configure_logging


def worker(
    clock: Annotated[bool, typer.Option("--clock/--no-clock", help="Also do what is due at times.")] = True,
    child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
) -> None:
    """Do the work after calls, until interrupted. Without a broker, `trunkline run` starts one itself."""
    # The tasks take 0.09 s to import, and no other command needs them.
    from app.tasks.worker import run_worker  # noqa: PLC0415

    settings = read_settings()
    configure_logging(settings.log_level, as_json=settings.log_json)
    run_worker(settings, clock=clock, child=child)
