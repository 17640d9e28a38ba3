"""Loading a model in a process of its own first: some libraries end theirs over a model they do not like."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]
_SECONDS = 120.0


def what_fails(module: str, *arguments: str) -> str:
    """Why ``module``, run with these arguments, fails: its last words; empty where it does not.

    In a thread.
    """
    try:
        ended = subprocess.run(  # noqa: S603 - our own interpreter and modules
            [sys.executable, "-P", "-m", module, *arguments],
            env=os.environ | {"PYTHONPATH": str(_ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it does not load within {_SECONDS:.0f} s"
    if not ended.returncode:
        return ""
    said = [line.strip() for line in ended.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    return said[-1] if said else f"its process ended with {ended.returncode}"
