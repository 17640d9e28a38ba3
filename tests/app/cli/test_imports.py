"""What every command loads before it does anything."""

from __future__ import annotations

import subprocess
import sys


def test_no_measurement_is_loaded_by_a_server() -> None:
    loaded = "import sys, app.cli; print([name for name in sys.modules if name.startswith('bench.fill')])"
    found = subprocess.run([sys.executable, "-c", loaded], check=True, capture_output=True, text=True)
    assert found.stdout == "[]\n"
