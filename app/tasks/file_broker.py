"""Celery's broker of files, made safe against processes killed at any point.

Kombu's own writes a message under its final name, where a reader may find half of it, and rewrites the table
of a queue in place, which leaves a broken one for ever. Here a file appears whole or not at all. A message is
the reader's who deletes it: one that a killed worker had taken is gone, and the outbox sends it again.
"""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

import structlog
from kombu.transport import TRANSPORT_ALIASES, filesystem, virtual

URL = "files://localhost//"
LEFTOVER_SECONDS = 3600.0  # after which what a killed process had begun to write is deleted

_PART = ".part"

_log = structlog.get_logger(__name__)


class Channel(filesystem.Channel):
    """Queues in ``data_folder_in``; which queues there are, in ``control_folder``."""

    def get_table(self, exchange: str) -> list[Any]:
        """The queues of an exchange; none where the table is missing or broken."""
        try:
            rows = json.loads(self._table(exchange).read_bytes())
            return [filesystem.exchange_queue_t(*row) for row in rows]
        except (FileNotFoundError, ValueError, TypeError):
            return []

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        wanted = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        table = self.get_table(exchange)
        if wanted not in table:
            _write(self._table(exchange), [wanted, *table])

    def _delete(self, queue: str, exchange: str, routing_key: str, pattern: str, *_: Any, **__: Any) -> None:
        gone = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        table = self.get_table(exchange)
        if gone in table:
            _write(self._table(exchange), [row for row in table if row != gone])

    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]
        name = f"{time.time_ns() // 1_000_000:015d}_{uuid.uuid4()}.{queue}.msg"
        _write(Path(self.data_folder_out) / name, payload)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """The oldest message, without waiting. One that is no JSON is deleted and logged."""
        suffix = f"{queue}.msg"
        for file in sorted(Path(self.data_folder_in).iterdir()):
            if file.name.partition(".")[2] != suffix:
                continue
            try:
                content = file.read_bytes()
                file.unlink()
            except OSError:
                continue  # another worker's
            try:
                return json.loads(content)
            except ValueError:
                _log.error("a message of the broker of files is damaged and was deleted", file=file.name)
        raise Empty

    def _table(self, exchange: str) -> Path:
        """The file of an exchange; its name is one of Celery's own."""
        return Path(self.control_folder) / f"{Path(exchange).name}.exchange"


class Transport(filesystem.Transport):
    """Kombu's, with our channel. Options: those of ``folders``, and ``polling_interval`` in seconds."""

    Channel = Channel

    def __init__(self, client: Any, **options: Any) -> None:
        super().__init__(client, **options)  # type: ignore[no-untyped-call]
        # Of this connection alone: only the files say which queues there are.
        self.state = virtual.BrokerState()  # type: ignore[no-untyped-call]


TRANSPORT_ALIASES.setdefault("files", f"{__name__}:Transport")


def folders(data_dir: Path) -> dict[str, str]:
    """The broker's folders under a data directory, made where they are missing, as options for it."""
    root = data_dir.resolve() / "broker"
    messages, control = root / "messages", root / "control"
    for folder in (messages, control):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _clear(folder)
    return {
        "data_folder_in": str(messages),
        "data_folder_out": str(messages),
        "control_folder": str(control),
    }


def _clear(folder: Path) -> None:
    for part in folder.glob(f"*{_PART}"):
        try:
            if time.time() - part.stat().st_mtime > LEFTOVER_SECONDS:
                part.unlink()
        except OSError:
            continue


def _write(file: Path, content: Any) -> None:
    """A file of that content, which is there whole or not at all. Raises ``OSError``."""
    part = file.with_name(f"{uuid.uuid4()}{_PART}")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(file)
