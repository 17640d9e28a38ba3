"""The web process: routes, one event loop, and an end that lets running calls finish."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import structlog
import uvicorn
from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from app.api import PATH as API_PATH
from app.api import create_api
from app.services import Services, open_services
from config.settings import Settings

log = structlog.get_logger(__name__)

_GC_THRESHOLDS = (5000, 5, 5)
"""A call that ended leaves some 500 objects in cycles (45 kB); this frees them after at most 250 calls. What
exists at start-up is frozen first: scanning it too would stall every call for 50-170 ms."""


class PortInUse(Exception):
    """The address cannot be listened on. The message says what to do."""


def create_app(services: Services) -> FastAPI:
    """The web application over services that run."""
    app = FastAPI(title="Trunkline", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.services = services
    app.router.routes.extend(services.twilio.routes())
    app.mount(API_PATH, create_api(services.database, services.api))

    @app.get("/health/live")
    async def live() -> Response:
        return JSONResponse({"live": True})

    @app.get("/health/ready")
    async def ready() -> Response:
        calls = services.live
        is_ready = not calls.draining and not calls.full
        detail = {
            "ready": is_ready,
            "draining": calls.draining,
            "full": calls.full,
            "calls": len(calls),
            "engines": [asdict(one) for engines in services.engines.lists for one in engines.standings],
        }
        return JSONResponse(detail, 200 if is_ready else 503)

    @app.get("/metrics")
    async def metrics(_: Request) -> Response:
        # 16 us a series: 70 ms with twenty agents, which no call may wait for.
        return Response(await asyncio.to_thread(generate_latest), media_type=CONTENT_TYPE_LATEST)

    return app


async def serve(settings: Settings, started: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends at once. ``started``: calls are taken.

    Raises ``PortInUse`` and what ``open_services`` raises.
    """
    listener = _listen(settings.http.host, settings.http.port)
    settings.http.port = listener.getsockname()[1]
    try:
        async with open_services(settings) as services:
            server = _Server(uvicorn_config(create_app(services), settings), started)
            async with asyncio.TaskGroup() as tasks:
                ending = tasks.create_task(_drain_on_signal(server, services))
                serving = tasks.create_task(server.serve(sockets=[listener]))
                await serving
                ending.cancel()
    finally:
        listener.close()


class _Server(uvicorn.Server):
    """Leaves signals to ``_drain_on_signal``: uvicorn would cut the media sockets at once."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._when_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Also tame the collector: what exists now stays for the life of the process."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.collect()  # of nothing: makes the collector forget how much it has frozen
        gc.set_threshold(*_GC_THRESHOLDS)
        self._when_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _drain_on_signal(server: uvicorn.Server, services: Services) -> None:
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    await signals.get()
    async with asyncio.TaskGroup() as tasks:
        draining = tasks.create_task(services.desk.drain(services.settings.limits.drain_seconds))
        second = tasks.create_task(signals.get())
        await asyncio.wait((draining, second), return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        second.cancel()
    server.should_exit = True


def uvicorn_config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=settings.limits.message_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        forwarded_allow_ips=list(settings.http.trusted_proxies),
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortInUse(
            f"cannot listen on {host}:{port} ({error.strerror}); "
            "stop what uses it, or set TRUNKLINE_HTTP__PORT to another port"
        ) from None
    listener.listen(2048)
    listener.setblocking(False)
    return listener
