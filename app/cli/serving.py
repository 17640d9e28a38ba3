"""``trunkline run``."""

from __future__ import annotations

import sys

import uvloop

from app.cli.settings import start_settings
from app.main import serve


def run() -> None:
    """Serve until interrupted. SIGTERM or Ctrl-C lets running calls finish; a second one ends at once."""
    settings, first = start_settings()

    def started() -> None:
        out = sys.stdout
        if first.shown:
            out.write(
                f"\nFirst start. These were made and kept in {settings.data_dir}/secrets.json, mode 600.\n"
            )
            out.write("They are shown this once:\n\n")
            out.writelines(f"  {name}={value}\n" for name, value in first.shown.items())
            out.write("\n")
        out.write(f"Trunkline answers on {settings.origin} (profile {settings.profile}). Ctrl-C ends it.\n")
        out.flush()

    uvloop.run(serve(settings, started))
