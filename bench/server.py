"""A private server for measurements and the demonstration: its own data directory, port and secrets."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

READY_SECONDS = 180.0
STOP_SECONDS = 40.0
_TAIL_BYTES = 4000


class ServerFailed(RuntimeError):
    """The server did not start; the message ends with what it wrote last."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used since its start: CPU seconds; resident bytes now.

    ``waited_seconds`` is how long its main thread could have run while another program had the core.
    """

    cpu_seconds: float
    rss_bytes: int
    waited_seconds: float


@dataclass(slots=True)
class PrivateServer:
    """``trunkline run`` as a child process; a context manager. Raises ``ServerFailed``.

    Where ``cores`` are given, the server runs on the first of them, and its database, which would run on
    another machine, on the second.
    """

    profile: str = "bench"
    cores: tuple[int, int] | None = None
    max_calls: int = 1000
    environment: dict[str, str] = field(default_factory=dict)
    account_sid: str = field(default_factory=lambda: "AC" + secrets.token_hex(16))
    auth_token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    api_key: str = field(default_factory=lambda: "tl_" + secrets.token_urlsafe(32), repr=False)
    port: int = 0
    command: tuple[str, ...] = (sys.executable, "-m", "app.cli", "run")
    _process: subprocess.Popen[bytes] | None = None
    _folder: Path | None = None

    @property
    def origin(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def webhook(self) -> str:
        """The URL that the carrier calls."""
        return f"{self.origin}/voice/twilio/incoming"

    @property
    def pid(self) -> int:
        """The server's process."""
        if self._process is None:
            raise ServerFailed("the server is not running")
        return self._process.pid

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="trunkline-bench-"))
        self.port = _free_port()
        self._start()
        return self

    def restart(self) -> None:
        """Start it again on the same data and port, after it has ended."""
        if self._process is not None:
            self._process.wait(STOP_SECONDS)
        self._start()

    def wait(self, seconds: float) -> int:
        """Its exit status, once it has ended. Raises ``subprocess.TimeoutExpired``."""
        if self._process is None:
            raise ServerFailed("the server is not running")
        return self._process.wait(seconds)

    def _start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                env=_without_ours(os.environ) | self._environment() | self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if self.cores is not None:
            os.sched_setaffinity(self._process.pid, {self.cores[0]})
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        if self.cores is not None:
            self._place_database(self.cores[1])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def log(self) -> str:
        """What it has written to standard output and error."""
        return self._log.read_text(errors="replace")

    def usage(self) -> Usage:
        """The server process alone, without its database."""
        return usage_of(self.pid)

    @property
    def _log(self) -> Path:
        assert self._folder is not None
        return self._folder / "server.log"

    def _environment(self) -> dict[str, str]:
        return {
            "TRUNKLINE_PROFILE": self.profile,
            "TRUNKLINE_DATA_DIR": str(self._folder),
            "TRUNKLINE_HTTP__HOST": "127.0.0.1",
            "TRUNKLINE_HTTP__PORT": str(self.port),
            "TRUNKLINE_TWILIO__ACCOUNT_SID": self.account_sid,
            "TRUNKLINE_TWILIO__AUTH_TOKEN": self.auth_token,
            "TRUNKLINE_ADMIN__API_KEY": self.api_key,
            "TRUNKLINE_LIMITS__MAX_CALLS": str(self.max_calls),
            "OMP_NUM_THREADS": "1",
        }

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        give_up = time.monotonic() + READY_SECONDS
        while time.monotonic() < give_up:
            if self._process.poll() is not None:
                raise ServerFailed(
                    f"the server ended with status {self._process.returncode}:\n{self._tail()}"
                )
            try:
                if httpx.get(f"{self.origin}/health/ready", timeout=2.0, trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        raise ServerFailed(f"the server was not ready after {READY_SECONDS:.0f} s:\n{self._tail()}")

    def _tail(self) -> str:
        return self._log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")

    def _place_database(self, core: int) -> None:
        """Move the embedded PostgreSQL, known by our data directory or its name, to another core."""
        assert self._folder is not None
        own = {child.pid for child in psutil.Process(self.pid).children(recursive=True)}
        for process in psutil.process_iter(["pid", "name", "cmdline"]):
            command = " ".join(process.info["cmdline"] or [])
            postgres = "postgres" in (process.info["name"] or "")
            if postgres and (str(self._folder) in command or process.pid in own):
                for member in (process, *process.children(recursive=True)):
                    member.cpu_affinity([core])

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def usage_of(pid: int) -> Usage:
    """What one process has used. Raises ``psutil.NoSuchProcess``."""
    process = psutil.Process(pid)
    with process.oneshot():
        times = process.cpu_times()
        return Usage(times.user + times.system, process.memory_info().rss, _waited(pid))


def _waited(pid: int) -> float:
    """The second field of Linux's schedstat, nanoseconds on a run queue; 0.0 where there is none."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def two_cores() -> tuple[int, int]:
    """A core for the server and one for everything else; the same one where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


def _without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without the settings of another installation."""
    return {name: value for name, value in environment.items() if not name.startswith("TRUNKLINE_")}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
