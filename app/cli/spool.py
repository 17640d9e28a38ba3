"""``trunkline db spool``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from app.calls.spool.folder import SPOOL, SpoolState, damaged_files, states
from app.cli.settings import read_settings


def spool(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List what waits on disk for the database: of each process that answers calls, or did.

    What is left of processes that are gone is stored by the next start, or by the others within seconds. A
    running process may show some bytes that are stored already: they are deleted within ten seconds. Damaged
    files are stored as far as they can be read, and kept to be looked at until they are as old as calls may
    become.
    """
    root = read_settings().data_dir / SPOOL
    try:
        found = [_row(state) for state in states(root)]
        damaged = [str(path) for path in damaged_files(root)]
    except OSError as error:
        raise SystemExit(
            f"trunkline: {root} cannot be read ({error.strerror}); run as the user that serves"
        ) from None
    if as_json:
        print(json.dumps({"spools": found, "damaged": damaged}))
        return
    for row in found:
        print("  ".join(f"{name}={value}" for name, value in row.items() if value is not None))
    for path in damaged:
        print(f"damaged  {path}")
    if not found and not damaged:
        print("nothing waits")


def _row(state: SpoolState) -> dict[str, Any]:
    """Seconds since the oldest and since the newest file was written to."""
    now = datetime.now(UTC)
    return {
        "instance": str(state.instance_id),
        "process": "runs" if state.alive else "gone",
        "events": state.events,
        "bytes": state.bytes,
        "oldest_seconds": None if state.oldest is None else round((now - state.oldest).total_seconds(), 1),
        "newest_seconds": None if state.newest is None else round((now - state.newest).total_seconds(), 1),
    }
