"""An installation whose parts are killed: web process, worker, broker; and a receiver of its webhooks."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import psutil
from standardwebhooks import Webhook

from app.webhooks.signing import new_secret
from bench.server import PrivateServer

QUICK = {
    "TRUNKLINE_AFTER_CALLS__RELAY_SECONDS": "0.2",
    "TRUNKLINE_AFTER_CALLS__LEASE_SECONDS": "2",
    "TRUNKLINE_AFTER_CALLS__RETRY_SECONDS": "0.2",
    "TRUNKLINE_WEBHOOKS__TIMEOUT_SECONDS": "5",
    "TRUNKLINE_WEBHOOKS__RETRY_SECONDS": str([0.3] * 30),
    "TRUNKLINE_WEBHOOKS__ALLOW": '["127.0.0.1"]',
}
"""Times in which a test can see a message that was lost being sent again."""


class Receiver:
    """The customer's system: takes messages, checks their signatures, refuses every ninth request."""

    def __init__(self) -> None:
        self.secret = new_secret()
        self.messages: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        self.wrong: list[str] = []
        self._requests = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/calls"

    @contextmanager
    def running(self) -> Iterator[Receiver]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """The status to answer with."""
        with self._lock:
            self._requests += 1
            if self._requests % 9 == 0:
                return 503
            try:
                Webhook(self.secret).verify(body, headers)
            except Exception as error:  # noqa: BLE001 - the test tells it
                self.wrong.append(str(error))
                return 400
            message = orjson.loads(body)
            self.messages[message["data"]["call"]["id"]].append((headers["webhook-id"], message))
            return 204

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
                with suppress(ConnectionError):
                    self.send_response(status)
                    self.send_header("content-length", "0")
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@dataclass(slots=True)
class Installation:
    """A web process with what it needs. ``redis``: with a broker, and so with a worker of its own."""

    folder: Path
    redis: bool = False
    web: PrivateServer = field(init=False)
    _port: int = 0
    _broker: subprocess.Popen[bytes] | None = None
    _worker: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Installation:
        environment = dict(QUICK) | {"TRUNKLINE_AFTER_CALLS__WORKER": "child"}
        if self.redis:
            self._port = _free_port()
            self._start_broker()
            environment["TRUNKLINE_BROKER_URL"] = f"redis://127.0.0.1:{self._port}/0"
        self.web = PrivateServer(environment=environment)
        self.web.__enter__()
        if self.redis:
            self._start_worker()
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self._worker, self._broker):
            if process is not None:
                process.kill()
                process.wait()
        self.web.__exit__(None, None, None)

    @property
    def data_dir(self) -> Path:
        """Of the web process."""
        return Path(psutil.Process(self.web.pid).environ()["TRUNKLINE_DATA_DIR"])

    @property
    def victims(self) -> tuple[str, ...]:
        """What can be killed."""
        return ("broker", "worker", "web") if self.redis else ("web", "worker")

    def kill(self, victim: str) -> bool:
        """Kill one with SIGKILL, and start it again where nobody else does; whether it was there."""
        match victim:
            case "web":
                os.kill(self.web.pid, signal.SIGKILL)
                self.web.restart()
                return True
            case "broker":
                assert self._broker is not None
                self._broker.kill()
                self._broker.wait()
                time.sleep(random.uniform(0, 1.0))
                self._start_broker()
                return True
            case _ if self._worker is not None:
                self._worker.kill()
                self._worker.wait()
                self._start_worker()
                return True
        children = [child for child in psutil.Process(self.web.pid).children() if _is_worker(child)]
        for child in children:
            child.kill()  # the web process starts another
        return bool(children)

    def _start_broker(self) -> None:
        self._broker = subprocess.Popen(
            ["redis-server", "--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self.folder),
             "--appendonly", "yes", "--save", ""],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def _start_worker(self) -> None:
        environment = psutil.Process(self.web.pid).environ()
        with (self.folder / "worker.log").open("ab") as log:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "worker"], env=environment, stdout=log, stderr=log
            )


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "worker" in process.cmdline()[-2:]
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
