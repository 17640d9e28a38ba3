"""Writes docs/turn-taking.md from the turn table: ``python -m app.voice.diagram``."""

from __future__ import annotations

from pathlib import Path

from app.voice.turn import DEADLINES, diagram

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "turn-taking.md"


def document() -> str:
    """The whole document."""
    rows = "".join(f"| `{timer}` | {what} |\n" for timer, what in DEADLINES.items())
    return (
        "# Who has the floor\n\n"
        "Drawn from the table in `app/voice/turn.py` by `python -m app.voice.diagram`.\n"
        "An edge reads: input / commands. "
        "Every state but `closed` has a deadline; its passing is the input `timer`.\n\n"
        f"```mermaid\n{diagram()}\n```\n\n"
        "## Deadlines\n\n"
        "Each firing is counted in `trunkline_deadlines_total`, those of watchdogs in\n"
        "`trunkline_watchdog_firings_total` too, and noted with the call.\n\n"
        f"| deadline | its passing |\n|---|---|\n{rows}"
    )


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
