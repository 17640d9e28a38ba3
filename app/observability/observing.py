"""Observing the calls of a process as its settings ask for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from app.observability.lines import LatencyLines
from app.observability.measures import Measures
from app.observability.observers import Observer, Observers
from app.voice.ports import CallRecorder
from config.settings import ObservabilitySettings

if TYPE_CHECKING:
    from app.observability.tracing import Traces

STOP_SECONDS = 5.0  # for what waits at the end; less than anybody waits for a process


class TracingUnavailable(Exception):
    """Traces are asked for and cannot be made. The message says what to do."""


@asynccontextmanager
async def observe(
    settings: ObservabilitySettings, folder: Path, recorder: CallRecorder, engines: Mapping[str, str]
) -> AsyncIterator[Observers]:
    """A recorder in front of ``recorder`` that also shows calls, until the block ends.

    ``folder``: of the lines of latency. ``engines``: by port (stt, llm, tts) the one that calls begin with.
    Raises ``TracingUnavailable``.
    """
    observers: list[Observer] = [Measures()]
    async with AsyncExitStack() as stack:
        if settings.latency_lines:
            lines = LatencyLines(folder, settings.latency_lines_days)
            lines.start()
            stack.push_async_callback(_stop, lines.stop)
            observers.append(lines)
        if settings.otlp_url:
            traces = await asyncio.to_thread(_traces, settings)
            stack.push_async_callback(_stop, traces.stop)
            observers.append(traces)
        yield Observers(recorder, observers, engines)


async def _stop(stop: Callable[[float], None]) -> None:
    await asyncio.to_thread(partial(stop, STOP_SECONDS))


def _traces(settings: ObservabilitySettings) -> Traces:
    """Raises ``TracingUnavailable``."""
    try:
        # Half a second, which only processes that trace pay.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        from app.observability.tracing import Traces  # noqa: PLC0415
    except ImportError as error:
        raise TracingUnavailable(
            f"traces are asked for (TRUNKLINE_OBSERVABILITY__OTLP_URL), and {error.name} is not installed; "
            'run: pip install "trunkline[otel]", or empty that setting'
        ) from None
    exporter = OTLPSpanExporter(
        endpoint=settings.otlp_url,
        headers={name: secret.get_secret_value() for name, secret in settings.otlp_headers.items()},
        timeout=settings.otlp_timeout_seconds,
    )
    return Traces(exporter, settings.trace_ratio)
