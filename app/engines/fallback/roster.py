"""The engines of a port in their order, started, given up and tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from app.engines.errors import EngineError, EngineTimeout, EngineUnavailable, RequestRefused
from app.engines.fallback.candidate import Candidate, Standing
from app.engines.ports import Engine
from app.metrics import ENGINE_SWITCHES
from config.engines import FallbackSettings

E = TypeVar("E", bound=Engine)

TRIAL_SECONDS = 30.0
"""How long an engine may take to start and answer while nobody waits: a model may have to be loaded."""

log = structlog.get_logger(__name__)

Note = Callable[[str, dict[str, str | int | float | bool]], None]
"""Writes a line into a call's record."""


def unrecorded(name: str, detail: dict[str, str | int | float | bool]) -> None:
    """The ``Note`` of what belongs to no call."""


class Roster(Generic[E]):
    """Engines of ``port``, best first. ``trial`` asks one for something small and waits for the answer."""

    def __init__(
        self,
        port: str,
        engines: Sequence[E],
        settings: FallbackSettings,
        trial: Callable[[E], Awaitable[None]],
    ) -> None:
        if not engines:
            raise ValueError("a roster needs an engine")
        self.port = port
        self.candidates = tuple(Candidate(port, engine, settings) for engine in engines)
        self._trial = trial
        self._given_up = asyncio.Event()

    @property
    def name(self) -> str:
        """The name of the engine that is asked first."""
        return self.candidates[0].engine.name

    @property
    def standings(self) -> list[Standing]:
        """How each engine does."""
        return [candidate.standing for candidate in self.candidates]

    async def start(self) -> None:
        """Start all. One whose server is away is tried again later, as long as another one has started.

        Raises ``EngineUnavailable``: an engine is not set up, or none can be started now.
        """
        async with asyncio.TaskGroup() as starting:
            starts = [starting.create_task(self._start(candidate)) for candidate in self.candidates]
        problems = [start.result() for start in starts]
        wrong = next((problem for problem in problems if problem is not None and not problem.retryable), None)
        if wrong is None and all(problems):
            wrong = problems[0]
        if wrong is not None:
            await self.close()
            raise wrong
        for candidate, problem in zip(self.candidates, problems, strict=True):
            if problem is not None:
                self._give_up(candidate, problem)

    async def close(self) -> None:
        """Close all."""
        for candidate in self.candidates:
            await candidate.engine.close()
            candidate.started = False

    async def check(self) -> None:
        """Ask each engine for something small: what it lacks shows now, and its first caller does not wait.

        One that fails though it may work later is given up for now, where another one works. Raises
        ``EngineUnavailable`` where one refuses for good: a model that its server does not have.
        """
        asked = [candidate for candidate in self.candidates if candidate.started and candidate.usable]
        async with asyncio.TaskGroup() as trials:
            answers = [trials.create_task(self._try(candidate)) for candidate in asked]
        problems = [answer.result() for answer in answers]
        for candidate, problem in zip(asked, problems, strict=True):
            if problem is not None and not problem.retryable:
                raise EngineUnavailable(candidate.engine.name, problem.message)
        for candidate, problem in zip(asked, problems, strict=True):
            if problem is None:
                continue
            if all(problems):
                log.warning("engine fails", port=self.port, engine=candidate.engine.name, error=str(problem))
            else:
                self._give_up(candidate, problem)

    async def watch(self) -> None:
        """Try engines that were given up, each when it is time, until cancelled."""
        async with asyncio.TaskGroup() as trials:
            while True:
                due = [c.breaker.retry_at for c in self.candidates if c.breaker.retry_at is not None]
                self._given_up.clear()
                try:
                    async with asyncio.timeout_at(min(due) if due else None):
                        await self._given_up.wait()
                except TimeoutError:
                    for candidate in self.candidates:
                        if candidate.on_trial():
                            trials.create_task(self._try_again(candidate))

    def next(self, current: Candidate[E], tried: Sequence[Candidate[E]] = ()) -> Candidate[E] | None:
        """The best other engine that may be asked and is not in ``tried``; ``None`` when there is none."""
        for candidate in self.candidates:
            if candidate is not current and candidate.usable and candidate not in tried:
                return candidate
        return None

    def failed(self, candidate: Candidate[E], error: EngineError) -> None:
        """A call's use of it failed, or was refused: that call's fault, which no other has to bear."""
        if isinstance(error, RequestRefused):
            candidate.refused(error)
            return
        candidate.failed(error)
        if not candidate.usable:
            self._given_up.set()

    def switched(self, old: Candidate[E], new: Candidate[E], note: Note) -> None:
        """A call went from one engine to another."""
        ENGINE_SWITCHES.labels(self.port, new.engine.name).inc()
        note("engine_switched", {"port": self.port, "from": old.engine.name, "to": new.engine.name})

    def _give_up(self, candidate: Candidate[E], problem: EngineError) -> None:
        candidate.unusable(problem)
        self._given_up.set()

    async def _start(self, candidate: Candidate[E]) -> EngineUnavailable | None:
        try:
            await candidate.engine.start()
        except EngineUnavailable as error:
            return error
        candidate.started = True
        return None

    async def _try_again(self, candidate: Candidate[E]) -> None:
        problem = await self._try(candidate)  # one that refuses the trial's request works
        candidate.tried(None if isinstance(problem, RequestRefused) else problem)
        self._given_up.set()  # when the next trial is due is to be looked at anew

    async def _try(self, candidate: Candidate[E]) -> EngineError | None:
        try:
            async with asyncio.timeout(TRIAL_SECONDS):
                if not candidate.started and (problem := await self._start(candidate)) is not None:
                    return problem
                await self._trial(candidate.engine)
        except EngineError as error:
            return error
        except TimeoutError:
            return EngineTimeout(candidate.engine.name, f"no answer within {TRIAL_SECONDS:.0f} s")
        except Exception as error:
            log.exception("trial of an engine failed", port=self.port, engine=candidate.engine.name)
            return EngineError(candidate.engine.name, f"its trial ended with {type(error).__name__}")
        return None
