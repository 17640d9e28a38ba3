"""The embedded PostgreSQL of a data directory, shared by the processes that use it.

Every process that uses the server holds a shared file lock, which the kernel frees when the process ends in
whatever way; the last to leave stops the server. A killed process leaves the server running, and the next
start joins it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.db.errors import DatabaseUnavailable
from app.db.postgres import PostgresServer


class EmbeddedPostgres:
    """The server under ``data_dir/postgres``. Any number of processes may share it."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self._server = PostgresServer(self._data_dir / "postgres")
        self._users: int | None = None  # descriptor that holds the shared lock

    async def start(self) -> str:
        """Start the server, or join it where it runs; returns the database's URL.

        The first start makes the database (about 0.6 s), a later one takes 0.1 s, joining 0.01 s.
        Cancelled, it waits until the server is there all the same, so that ``stop`` finds it. Raises
        ``DatabaseUnavailable``.
        """
        starting = asyncio.get_running_loop().run_in_executor(None, self._start)
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait([starting])
            raise

    async def stop(self) -> None:
        """Leave the server; when nobody else uses it, stop it. Raises ``DatabaseUnavailable``."""
        await asyncio.to_thread(self._stop)

    def _start(self) -> str:
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            with self._gate():
                self._server.ensure_running()
                if self._users is None:
                    self._users = _open_lock(self._data_dir / "postgres.users")
                    fcntl.flock(self._users, fcntl.LOCK_SH)
        except OSError as error:
            raise DatabaseUnavailable(
                f"the embedded database in {self._data_dir} cannot be started: {error}; "
                "check the permissions and the free space of TRUNKLINE_DATA_DIR"
            ) from error
        return self._server.url

    def _stop(self) -> None:
        if self._users is None:
            return
        with self._gate():
            users, self._users = self._users, None
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # someone else uses it
            finally:
                os.close(users)
            self._server.stop()  # the gate keeps others from joining meanwhile

    @contextmanager
    def _gate(self) -> Iterator[None]:
        """One process at a time starts, joins or leaves the server."""
        gate = _open_lock(self._data_dir / "postgres.lock")
        try:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield
        finally:
            os.close(gate)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
