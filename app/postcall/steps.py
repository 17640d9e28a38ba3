"""Doing the steps of one call, in order: each done once in effect, whatever dies in between.

A step's work is done outside a transaction; what it writes, its result and that it is done are one
transaction, which first looks whether it is still to be done. One worker at a time works on a call: it holds
an advisory lock, which PostgreSQL frees when the worker's connection ends in whatever way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.session import Database, is_away
from app.engines.errors import EngineError
from app.metrics import STEP_FAILURES, STEP_SECONDS, STEPS_DONE
from app.outbox import repository as outbox
from app.postcall import repository
from app.postcall.plan import PLAN, REDACT, STEPS, Blocked, Hopeless, State, readiness
from app.postcall.reading import read_call
from app.postcall.record import FinishedCall
from app.postcall.repository import Standing

_log = structlog.get_logger(__name__)

T = TypeVar("T")
Write: TypeAlias = Callable[[AsyncSession], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Done:
    """A step's work is done. ``write``: what is to be written in the transaction that says so."""

    result: Mapping[str, Any] | None = None
    write: Write | None = None
    state: State = State.DONE


SKIPPED = Done(state=State.SKIPPED)


class StepFailed(Exception):
    """A step cannot be done now. The text says what happened and what to do, without personal data."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        """``final``: another try would change nothing."""
        super().__init__(message)
        self.final = final


Work: TypeAlias = Callable[[FinishedCall, T], Awaitable[Done]]


@dataclass(frozen=True, slots=True)
class Tries:
    """How long a step may take, how often it is tried, and the time before the second try, in seconds."""

    step_seconds: float = 120.0
    attempts: int = 6
    retry_seconds: float = 10.0

    def pause(self, failures: int) -> float:
        """Seconds after so many failures: four times as long each time."""
        return self.retry_seconds * 4.0 ** min(failures - 1, 10)


@dataclass(slots=True)
class StepRunner(Generic[T]):
    """Does the steps of calls. ``work`` has one for each step of the plan."""

    database: Database
    work: Mapping[str, Work[T]]
    tools: T
    tries: Tries

    async def run(self, call_id: UUID) -> frozenset[str]:
        """Do what can be done for a call now, and say in the outbox what is left.

        Returns the steps that it did, none while another worker is at it. Raises when the database is away.
        """
        async with outbox.alone_with(self.database.engine, call_id) as alone:
            standings = await self._begin(call_id) if alone else None
            if standings is None:
                return frozenset()
            going_on = _OneCall(self, call_id, *standings)
            await going_on.run()
            await going_on.settle()
            return frozenset(going_on.done)

    async def _begin(self, call_id: UUID) -> tuple[datetime, dict[str, Standing]] | None:
        """When the call began, and how its steps stand. ``None``: there is no such call any more."""
        async with self.database.transaction() as session:
            started_at = await repository.began_at(session, call_id)
            if started_at is None:
                await outbox.settle(session, call_id)
                return None
            await repository.plan_steps(session, call_id, started_at)
            return started_at, await repository.standings(session, call_id, started_at)


@dataclass(slots=True)
class _OneCall(Generic[T]):
    """One call while this worker is alone with it."""

    runner: StepRunner[T]
    call_id: UUID
    started_at: datetime
    standings: dict[str, Standing]
    done: set[str] = field(default_factory=set)
    _call: FinishedCall | None = None

    @property
    def _states(self) -> dict[str, State]:
        return {name: one.state for name, one in self.standings.items()}

    async def run(self) -> None:
        """Do the steps that are due; stop where one was reset meanwhile: what follows may be, too."""
        for step in PLAN:
            own = self.standings[step.name]
            if own.state is not State.WAITING or not own.due:
                continue
            ready = readiness(step, self._states)
            if isinstance(ready, Hopeless):
                error = f"the step {ready.needs} failed, without which this one is not done; start that again"
                await self._failed(step.name, StepFailed(error, final=True))
            elif not isinstance(ready, Blocked) and not await self._do(step.name):
                return

    async def settle(self) -> None:
        """Nothing is owed once every step is settled; else it is due with the first that can go on."""
        async with self.runner.database.transaction() as session:
            if not await outbox.lock(session, self.call_id):
                return
            standings = await repository.standings(session, self.call_id, self.started_at)
            # One of another version of the code is not waited for: nobody here would do it.
            states = {name: standings[name].state for name in STEPS}
            if State.WAITING not in states.values():
                await outbox.settle(session, self.call_id)
                return
            due = [
                standings[step.name].due_at
                for step in PLAN
                if states[step.name] is State.WAITING and not isinstance(readiness(step, states), Blocked)
            ]
            await outbox.postpone(session, self.call_id, min(due))

    async def _do(self, step: str) -> bool:
        """Do a step; whether to go on with the next one."""
        try:
            with STEP_SECONDS.labels(step).time():
                call = await self._read()
                async with asyncio.timeout(self.runner.tries.step_seconds):
                    done = await self.runner.work[step](call, self.runner.tools)
                if not await self._finish(step, done):
                    return False
        except Exception as error:
            if _database_is_away(error):
                raise
            await self._failed(step, error)
            return True
        if step == REDACT:
            self._call = None  # its words have changed
        self.standings[step] = replace(self.standings[step], state=done.state)
        if done.state is State.DONE:
            self.done.add(step)
        STEPS_DONE.labels(step, done.state.value).inc()
        return True

    async def _read(self) -> FinishedCall:
        if self._call is None:
            async with self.runner.database.transaction() as session:
                self._call = await read_call(session, self.call_id, self.started_at)
        if self._call is None:
            raise StepFailed("the call was deleted meanwhile", final=True)
        return self._call

    async def _finish(self, step: str, done: Done) -> bool:
        """Write it; false where somebody else did so, or the step is to be done from the start."""
        async with self.runner.database.transaction() as session:
            if not await self._lock(session, step):
                return False
            if done.write is not None:
                await done.write(session)
            await repository.finish(session, self.call_id, self.started_at, step, done.state, done.result)
        return True

    async def _lock(self, session: AsyncSession, step: str) -> bool:
        due_at = self.standings[step].due_at
        return await repository.lock_waiting(session, self.call_id, self.started_at, step, due_at)

    async def _failed(self, step: str, error: Exception) -> None:
        tries = self.runner.tries
        failures = self.standings[step].attempts + 1
        final = failures >= tries.attempts or (isinstance(error, StepFailed) and error.final)
        reason = _reason(error, tries.step_seconds)
        async with self.runner.database.transaction() as session:
            if not await self._lock(session, step):
                return
            await repository.fail(
                session,
                self.call_id,
                self.started_at,
                step,
                error=reason,
                retry_seconds=None if final else tries.pause(failures),
            )
        state = State.FAILED if final else State.WAITING
        self.standings[step] = replace(self.standings[step], state=state, due=False)
        STEP_FAILURES.labels(step, "yes" if final else "no").inc()
        _log.log(
            logging.ERROR if final else logging.WARNING,
            "a step after a call failed",
            call_id=str(self.call_id),
            step=step,
            failures=failures,
            final=final,
            reason=reason,
            where=_where(error),
        )


def _database_is_away(error: Exception) -> bool:
    """Not so an ``OSError`` of a store or a server: then the failure cannot be written either, if it is."""
    ours = isinstance(error, SQLAlchemyError | asyncpg.PostgresError | asyncpg.InterfaceError)
    return ours and is_away(error)


def _reason(error: Exception, step_seconds: float) -> str:
    """Why a step failed, for an operator. Texts of others' errors may quote a caller: they stay out."""
    match error:
        case StepFailed() | EngineError():
            return str(error)
        case TimeoutError():
            return f"it took longer than {step_seconds:.0f} s (TRUNKLINE_AFTER_CALLS__STEP_SECONDS)"
        case _:
            return f"{type(error).__name__}; the worker's log says where"


def _where(error: BaseException) -> str:
    """File and line of an error, which say nothing of a caller."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
