"""A web server of files in a thread, with ranges, that misbehaves as told."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """``files`` by path. ``break_after``: bytes after which each of the next so many answers breaks off.

    ``announce``: headers of the redirecting answer at ``/hub/...``, which leads to ``/...``.
    ``statuses``: answered first, one a request. ``ranges``: whether it can resume.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    announce: dict[str, str] = field(default_factory=dict)
    break_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    lie: bool = False  # send a wrong part of the file for a range
    requests: list[tuple[str, str]] = field(default_factory=list)  # path and range
    url: str = ""

    @contextmanager
    def running(self) -> Iterator[FileServer]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        files = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                files._answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        return Handler

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range", "")
        self.requests.append((request.path, wanted))
        if self.statuses:
            self._plain(request, self.statuses.pop(0))
        elif request.path.startswith("/hub/"):
            request.send_response(302)
            request.send_header("Location", f"{self.url}/{request.path.removeprefix('/hub/')}")
            for name, value in self.announce.items():
                request.send_header(name, value)
            request.send_header("Content-Length", "0")
            request.end_headers()
        elif request.path == "/circle":
            request.send_response(302)
            request.send_header("Location", f"{self.url}/circle")
            request.send_header("Content-Length", "0")
            request.end_headers()
        elif request.path in self.files:
            self._send(request, self.files[request.path], wanted)
        else:
            self._plain(request, 404)

    def _plain(self, request: BaseHTTPRequestHandler, status: int) -> None:
        request.send_response(status)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def _send(self, request: BaseHTTPRequestHandler, data: bytes, wanted: str) -> None:
        found = re.fullmatch(r"bytes=(\d+)-", wanted) if self.ranges else None
        start = int(found[1]) if found else 0
        if found and start >= len(data):
            self._plain(request, 416)
            return
        body = data[start:]
        if found:
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            body = body[::-1] if self.lie else body
        else:
            request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.break_after:
            body = body[: self.break_after.pop(0)]
            request.close_connection = True
        request.wfile.write(body)
