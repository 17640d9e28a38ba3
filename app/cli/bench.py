"""``trunkline bench``: latency and capacity over the wire."""

from __future__ import annotations

from typing import Annotated

import typer


def bench(
    calls: Annotated[str, typer.Option(help="Simultaneous calls of each round.")] = "1,50,100,150,200",
    seconds: Annotated[float, typer.Option(min=5, help="Measured time of each round.")] = 60.0,
    noise: Annotated[float, typer.Option(help="Noise on the caller's line, dBFS; 0: none.")] = -55.0,
    together: Annotated[bool, typer.Option(help="All callers begin their turns at once.")] = False,
) -> None:
    """Start a private server with timed engines, call it, print a table, write bench/results/*.json."""
    from bench.load import main  # noqa: PLC0415 - the measurement's own parts, for this command alone

    options = [
        "--calls",
        calls,
        "--seconds",
        str(seconds),
        f"--noise={noise}",
        *(["--together"] if together else []),
    ]
    raise SystemExit(main(options))
