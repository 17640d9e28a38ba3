"""What the product logs as an error while calls are held: a fault, however well the call went."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs


class ErrorLog:
    """The errors so far, each with the call in whose name it was logged."""

    def __init__(self, entries: list[MutableMapping[str, Any]]) -> None:
        self._entries = entries

    def of_call(self, call_id: str) -> list[str]:
        """The errors of one call, a line each."""
        return [
            _described(entry)
            for entry in self._entries
            if entry["log_level"] == "error" and entry.get("call_id") == call_id
        ]


@contextmanager
def watched_log() -> Iterator[ErrorLog]:
    """Everything logged inside goes to the ``ErrorLog`` and nowhere else."""
    with capture_logs(processors=[_with_exception, merge_contextvars]) as entries:
        yield ErrorLog(entries)


def _with_exception(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep the exception that is being handled, while it is."""
    if entry.get("exc_info"):
        entry["exception"] = traceback.format_exc()
    return entry


def _described(entry: MutableMapping[str, Any]) -> str:
    lines = str(entry.get("exception", "")).strip().splitlines()
    return f"the server logged {entry['event']!r}: {lines[-1] if lines else ''}\n{entry.get('exception', '')}"
