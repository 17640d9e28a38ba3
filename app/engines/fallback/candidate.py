"""One engine of a list, with what is known of its health."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from app.engines.breaker import Breaker, BreakerState
from app.engines.errors import EngineError, EngineTimeout, RequestRefused
from app.engines.patience import Patience
from app.engines.ports import Engine
from app.metrics import ENGINE_BREAKER, ENGINE_FAILURES, ENGINE_FIRST_SECONDS
from config.engines import FallbackSettings

E_co = TypeVar("E_co", bound=Engine, covariant=True)

_LEVEL = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """How an engine does, for operators. Seconds; ``None`` while nothing is known."""

    port: str
    engine: str
    state: str
    first_p95: float | None
    timeout: float


_THINKING = frozenset({"llm", "mt"})  # ports of language models, and of what may ask one


class Candidate(Generic[E_co]):
    """An engine and its breaker, shared by the calls of the process."""

    def __init__(self, port: str, engine: E_co, settings: FallbackSettings) -> None:
        self.port = port
        self.engine = engine
        self.started = False
        most = settings.llm_first_most if port in _THINKING else settings.first_most
        self.first = Patience(settings.first_least, most)
        self.gap = Patience(settings.gap_least, settings.gap_most)
        self.breaker = Breaker(settings.failures, settings.retry_seconds)
        self._settings = settings
        self._first_seconds = ENGINE_FIRST_SECONDS.labels(port, engine.name)
        self._show()

    @property
    def usable(self) -> bool:
        """Calls may ask it."""
        return self.breaker.state is BreakerState.CLOSED

    @property
    def standing(self) -> Standing:
        """For operators."""
        p95 = self.first.percentile(0.95)
        return Standing(
            self.port,
            self.engine.name,
            str(self.breaker.state),
            round(p95, 3) if p95 else None,
            round(self.first.timeout, 3),
        )

    def answered(self, seconds: float) -> None:
        """The first of what was asked for came after so long."""
        self.first.observe(seconds)
        self._first_seconds.observe(seconds)

    def succeeded(self) -> None:
        """It gave all that a call asked it for."""
        self.breaker.succeed()

    def failed(self, error: EngineError) -> None:
        """A call's use of it failed."""
        timeout = isinstance(error, EngineTimeout)
        ENGINE_FAILURES.labels(self.port, self.engine.name, "timeout" if timeout else "error").inc()
        before = self.breaker.state
        self.breaker.fail(_now())
        self._show()
        log.warning("engine failed", port=self.port, engine=self.engine.name, error=str(error))
        if before is BreakerState.CLOSED and not self.usable:
            log.error("engine given up for now", port=self.port, engine=self.engine.name)

    def refused(self, error: RequestRefused) -> None:
        """It works, and did not serve what a call asked it for."""
        ENGINE_FAILURES.labels(self.port, self.engine.name, "refused").inc()
        log.warning("engine refused a request", port=self.port, engine=self.engine.name, error=str(error))

    def unusable(self, error: EngineError) -> None:
        """It did not start, or is known not to work now."""
        self.breaker.trip(_now())
        self._show()
        log.error("engine given up for now", port=self.port, engine=self.engine.name, error=str(error))

    def on_trial(self) -> bool:
        """Whether it is time for a trial, which begins now."""
        begun = self.breaker.try_again(_now())
        self._show()
        return begun

    def tried(self, error: EngineError | None) -> None:
        """A trial ended, with an error or not."""
        self.breaker.tried(_now(), works=error is None)
        if error is None:
            log.info("engine works again", port=self.port, engine=self.engine.name)
        else:
            ENGINE_FAILURES.labels(self.port, self.engine.name, "trial").inc()
            log.warning("engine still fails", port=self.port, engine=self.engine.name, error=str(error))
        self._show()

    def _show(self) -> None:
        ENGINE_BREAKER.labels(self.port, self.engine.name).set(_LEVEL[self.breaker.state])


def _now() -> float:
    return asyncio.get_running_loop().time()
